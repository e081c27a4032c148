// The few words of CUDA that the kernels use, for a C++ compiler on a CPU.
//
// The threads of a block are fibers that run in turn up to where they meet: at a barrier,
// a shuffle or a vote. They run forward or backward, so that a read of what another thread
// has not yet written, or has written over, differs between the two orders. A thread that
// misses a meeting, or waits at another one, makes the launch fail.

// Its check of longjmp refuses a jump to another stack.
#undef _FORTIFY_SOURCE

// Headers of C alone: those of C++ take longer to compile than a kernel does.
#include <setjmp.h>
#include <string.h>
#include <ucontext.h>

// Both for each, as otherwise a float would go through the function of double.
static inline float asin(float x) { return __builtin_asinf(x); }
static inline double asin(double x) { return __builtin_asin(x); }
static inline float atan2(float y, float x) { return __builtin_atan2f(y, x); }
static inline double atan2(double y, double x) { return __builtin_atan2(y, x); }
static inline float fabs(float x) { return __builtin_fabsf(x); }
static inline double fabs(double x) { return __builtin_fabs(x); }
static inline double rint(double x) { return __builtin_rint(x); }
static inline float sqrt(float x) { return __builtin_sqrtf(x); }
static inline double sqrt(double x) { return __builtin_sqrt(x); }

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static

struct Index {
    unsigned x, y;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

namespace fibers {

enum Meeting { nowhere, barrier, shuffle, vote, finished };

// A fiber lives as long as the library, and runs a thread of one block after the other.
struct Fiber {
    ucontext_t start;
    bool is_started = false;
    jmp_buf place; // where it waits
    char stack[1 << 16];
    Meeting at[2]; // the last two meetings, by parity, and what was brought along
    char brought[2][8];
    long n_meetings;
};

static Fiber *all;
static int n_fibers;
static jmp_buf scheduler;
static void (*kernel)(const void *);
static const void *arguments;
static bool failed;

// These jumps take a hundredth of the time of swapcontext, which asks the kernel of the
// system for the mask of signals. Each is a call of its own, so that no variable of the
// caller changes between a place and the return to it.
__attribute__((noinline)) static void go_on(Fiber &fiber)
{
    if (_setjmp(scheduler))
        return;
    if (fiber.is_started)
        _longjmp(fiber.place, 1);
    fiber.is_started = true;
    setcontext(&fiber.start);
}

__attribute__((noinline)) static void wait(Fiber &fiber)
{
    if (!_setjmp(fiber.place))
        _longjmp(scheduler, 1);
}

static void enter()
{
    const unsigned thread = threadIdx.x;
    for (;;) {
        kernel(arguments);
        Fiber &self = all[thread];
        self.at[++self.n_meetings & 1] = finished;
        wait(self);
        threadIdx.x = thread;
    }
}

static void meet(Meeting meeting, const void *value = nullptr, size_t size = 0)
{
    const unsigned thread = threadIdx.x;
    Fiber &self = all[thread];
    const long parity = ++self.n_meetings & 1;
    self.at[parity] = meeting;
    if (size)
        memcpy(self.brought[parity], value, size);
    wait(self);
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

static void make_fibers(int n)
{
    delete[] all;
    all = new Fiber[n_fibers = n];
    for (int i = 0; i < n; ++i) {
        Fiber &fiber = all[i];
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack;
        fiber.start.uc_stack.ss_size = sizeof fiber.stack;
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, enter, 0);
    }
}

static void run_block(int n, bool backward)
{
    for (int i = 0; i < n; ++i) {
        all[i].n_meetings = 0;
        all[i].at[0] = all[i].at[1] = nowhere;
    }
    for (bool running = true; running && !failed;) {
        running = false;
        for (int i = 0; i < n; ++i) {
            const int thread = backward ? n - 1 - i : i;
            Fiber &fiber = all[thread];
            if (meeting_of(thread) == finished)
                continue;
            threadIdx.x = thread;
            go_on(fiber);
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

template <class Call>
static int launch(int grid_x, int grid_y, int threads, bool backward, Call call)
{
    // After a failure, some are in the midst of a kernel.
    if (failed || n_fibers < threads)
        make_fibers(threads);
    kernel = [](const void *call) { (*(const Call *)call)(); };
    arguments = &call;
    failed = false;
    blockDim.x = threads;
    gridDim = {(unsigned)grid_x, (unsigned)grid_y};
    for (blockIdx.y = 0; blockIdx.y < (unsigned)grid_y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < (unsigned)grid_x; ++blockIdx.x)
            run_block(threads, backward);
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
