// The few words of CUDA that the kernels use, for a C++ compiler on a CPU.
//
// The threads of a block are fibers that run in turn up to where they meet: at a barrier,
// a shuffle or a vote. They run forward or backward, so that a read of what another thread
// has not yet written, or has written over, differs between the two orders. A thread that
// misses a meeting, or waits at another one, makes the launch fail.

#include <cmath>
#include <cstring>
#include <functional>
#include <ucontext.h>
#include <vector>

// Without these, a float would go through the function of double.
using std::asin;
using std::atan2;
using std::fabs;
using std::sqrt;

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static

struct Index {
    unsigned x, y;
};
static Index threadIdx, blockIdx, blockDim;

namespace fibers {

enum Meeting { nowhere, barrier, shuffle, vote, finished };

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(1 << 16);
    Meeting at[2]; // the last two meetings, by parity, and what was brought along
    char brought[2][8];
    long n_meetings;
};

static std::vector<Fiber> all;
static ucontext_t scheduler;
static std::function<void()> kernel;
static bool failed;

static void enter()
{
    Fiber &self = all[threadIdx.x];
    kernel();
    self.at[++self.n_meetings & 1] = finished;
}

static void meet(Meeting meeting, const void *value = nullptr, size_t size = 0)
{
    const unsigned thread = threadIdx.x;
    Fiber &self = all[thread];
    const long parity = ++self.n_meetings & 1;
    self.at[parity] = meeting;
    if (size)
        memcpy(self.brought[parity], value, size);
    swapcontext(&self.context, &scheduler);
    threadIdx.x = thread;
}

// What a thread that meets this one has brought.
static const void *look(unsigned other)
{
    return all[other].brought[all[threadIdx.x].n_meetings & 1];
}

static Meeting meeting_of(int thread)
{
    return all[thread].at[all[thread].n_meetings & 1];
}

static void run_block(bool backward)
{
    const int n = (int)all.size();
    for (Fiber &fiber : all) {
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = &scheduler;
        fiber.n_meetings = 0;
        fiber.at[0] = fiber.at[1] = nowhere;
        makecontext(&fiber.context, enter, 0);
    }
    for (bool running = true; running && !failed;) {
        running = false;
        for (int i = 0; i < n; ++i) {
            const int thread = backward ? n - 1 - i : i;
            Fiber &fiber = all[thread];
            if (meeting_of(thread) == finished)
                continue;
            threadIdx.x = thread;
            swapcontext(&scheduler, &fiber.context);
            running = true;
        }
        // A warp shuffles and votes as a whole, and a barrier is for the whole block.
        for (int i = 0; i < n; ++i) {
            const Meeting at = meeting_of(i);
            failed |= at != meeting_of(i / 32 * 32);
            failed |= (at == barrier) != (meeting_of(0) == barrier);
        }
    }
}

static int launch(int grid_x, int grid_y, int threads, bool backward,
                  std::function<void()> call)
{
    all = std::vector<Fiber>(threads);
    kernel = call;
    failed = false;
    blockDim.x = threads;
    for (blockIdx.y = 0; blockIdx.y < (unsigned)grid_y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < (unsigned)grid_x; ++blockIdx.x)
            run_block(backward);
    return failed;
}

} // namespace fibers

static inline void __syncthreads() { fibers::meet(fibers::barrier); }

template <class T> static inline T __shfl_xor_sync(unsigned, T value, int mask)
{
    fibers::meet(fibers::shuffle, &value, sizeof value);
    T other;
    memcpy(&other, fibers::look(threadIdx.x ^ mask), sizeof other);
    return other;
}

static inline unsigned __ballot_sync(unsigned, bool predicate)
{
    fibers::meet(fibers::vote, &predicate, sizeof predicate);
    const unsigned first = threadIdx.x / 32 * 32;
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; ++lane)
        bits |= (unsigned)*(const bool *)fibers::look(first + lane) << lane;
    return bits;
}

template <class To, class From> static inline To same_bits(From from)
{
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
#define __float_as_uint(x) same_bits<unsigned>((float)(x))
#define __uint_as_float(x) same_bits<float>((unsigned)(x))
#define __double_as_longlong(x) same_bits<long long>((double)(x))
#define __longlong_as_double(x) same_bits<double>((long long)(x))
