// The transform of blocks that stay on the chip, before the sources that use it.
//
// A block has LENGTH coordinates, of which each of LANES threads holds HELD: thread `lane`
// has coordinates r * LANES + lane for r below HELD, so that all lanes together read
// contiguous memory for one r. Of the transform's log2(LENGTH) levels, the upper ones pair
// registers of a thread, the next five pair lanes of a warp, and the rest, where a sample
// has more than one warp, go through shared memory. Signs are bits: bit r of word
// `block * LANES + lane` is set where the sign of that thread's coordinate r is -1.
//
// Compiled for one NUMBER, LENGTH and HELD at a time. The order of sums depends on the
// sizes alone, so that equal input gives equal output.

#define LANES (LENGTH / HELD)
#define THREADS (LANES > 128 ? LANES : 128)
#define SAMPLES (THREADS / LANES)
#define WARP_LANES (LANES < 32 ? LANES : 32)
#define EVERY_LANE 0xffffffffu

typedef unsigned int word;
typedef long long wide;

__device__ inline float flip(float x, word signs, int r)
{
    return __uint_as_float(__float_as_uint(x) ^ ((signs << (31 - r)) & 0x80000000u));
}

__device__ inline double flip(double x, word signs, int r)
{
    return __longlong_as_double(__double_as_longlong(x) ^ ((wide)(signs >> r) << 63));
}

// One level between threads: the sum on the lower side, the difference on the upper, in
// one instruction. A product with 1 or -1 is exact.
__device__ inline NUMBER meet(NUMBER own, NUMBER other, int is_upper)
{
    return other + (is_upper ? (NUMBER)-1 : (NUMBER)1) * own;
}

// Unnormalised Walsh-Hadamard transform of the block that the lanes of a sample hold.
__device__ inline void transform(NUMBER (&x)[HELD], int lane, NUMBER *shared)
{
#pragma unroll
    for (int step = 1; step < HELD; step *= 2)
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            if (!(r & step)) {
                NUMBER a = x[r], b = x[r + step];
                x[r] = a + b;
                x[r + step] = a - b;
            }
#pragma unroll
    for (int step = 1; step < WARP_LANES; step *= 2)
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            x[r] = meet(x[r], __shfl_xor_sync(EVERY_LANE, x[r], step), lane & step);
#pragma unroll
    for (int step = 32; step < LANES; step *= 2) {
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            shared[r * THREADS + threadIdx.x] = x[r];
        __syncthreads();
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            x[r] = meet(x[r], shared[r * THREADS + (threadIdx.x ^ step)], lane & step);
        __syncthreads();
    }
}

// Coordinates of a row of blocks, by the lanes of a sample; zeros where there is none.
__device__ inline void load(
    NUMBER (&x)[HELD], const NUMBER *rows, wide row, bool is_there, int lane)
{
#pragma unroll
    for (int r = 0; r < HELD; ++r)
        x[r] = is_there ? rows[row * LENGTH + r * LANES + lane] : 0;
}

// The same way back, times a factor.
__device__ inline void store(
    const NUMBER (&x)[HELD], NUMBER factor, NUMBER *rows, wide row, int lane)
{
#pragma unroll
    for (int r = 0; r < HELD; ++r)
        rows[row * LENGTH + r * LANES + lane] = factor * x[r];
}

// Neurons H D_b h of a block, before the signs D_out.
__device__ inline void expand(
    NUMBER (&x)[HELD], const NUMBER (&h)[HELD], word in, int lane, NUMBER *shared)
{
#pragma unroll
    for (int r = 0; r < HELD; ++r)
        x[r] = flip(h[r], in, r);
    transform(x, lane, shared);
}
