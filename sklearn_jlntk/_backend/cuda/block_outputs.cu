// Outputs of several readouts behind a block Hadamard expansion, and their adjoint.
//
// The neurons of a sample h are A h = D_out [H D_1; H D_2; ...] h, and A^T is linear: with
// several outputs, what they send back is summed before it is transformed, once for all.
// Compiled for one NUMBER, LENGTH and HELD, and one number of OUTPUTS, at a time; the grid
// is samples by parts of the blocks, as in relu_pass.

// Thread blocks of the adjoint on a multiprocessor: three have registers enough, but not
// where a sample has several warps.
#define FEWEST_BLOCKS (LANES > 32 ? 1 : 3)

// For each sample and part, and each warp of the sample, the sums of v_q max(A h, 0).
extern "C" __global__ __launch_bounds__(THREADS) void relu_outputs(
    const NUMBER *__restrict__ hidden, // (n_samples, LENGTH)
    const word *__restrict__ block_signs, // D_b
    const word *__restrict__ neuron_signs, // D_out
    const word *__restrict__ readout_signs, // v_q, (OUTPUTS, words of the blocks)
    wide n_words, wide n_samples, wide n_neurons, wide blocks_a_part, double scale,
    double *__restrict__ sums) // (OUTPUTS, n_parts * warps of a sample, n_samples)
{
    __shared__ NUMBER shared[LANES > 32 ? HELD * THREADS : 1];
    const int lane = threadIdx.x % LANES;
    const wide sample = (wide)blockIdx.x * SAMPLES + threadIdx.x / LANES;
    const bool is_there = sample < n_samples;
    const wide part = blockIdx.y, first = part * blocks_a_part;
    NUMBER h[HELD], x[HELD];
    double totals[OUTPUTS] = {};
    load(h, hidden, sample, is_there, lane);
    for (wide block = first; block < first + blocks_a_part; ++block) {
        const wide rest = n_neurons - block * LENGTH;
        if (rest <= 0)
            break; // all threads of the grid's part leave together
        const int left = (int)(rest < LENGTH ? rest : LENGTH) - lane;
        const wide i = block * LANES + lane;
        const word neuron = neuron_signs[i];
        expand(x, h, block_signs[i], lane, shared);
#pragma unroll
        for (int r = 0; r < HELD; ++r) {
            const NUMBER p = flip(x[r], neuron, r);
            x[r] = p > 0 && r * LANES < left ? p : 0;
        }
#pragma unroll
        for (int q = 0; q < OUTPUTS; ++q) {
            const word v = readout_signs[q * n_words + i];
            NUMBER sum = 0;
#pragma unroll
            for (int r = 0; r < HELD; ++r)
                sum += flip(x[r], v, r);
            totals[q] += sum;
        }
    }
    const int warp = lane / WARP_LANES, n_warps = LANES / WARP_LANES;
#pragma unroll
    for (int q = 0; q < OUTPUTS; ++q) {
#pragma unroll
        for (int step = 1; step < WARP_LANES; step *= 2)
            totals[q] += __shfl_xor_sync(EVERY_LANE, totals[q], step);
        if (is_there && lane % WARP_LANES == 0) {
            const wide row = (q * (wide)gridDim.y + part) * n_warps + warp;
            sums[row * n_samples + sample] = scale * totals[q];
        }
    }
}

// For each sample and part, A^T (1[A h > 0] times the sum of v_q c_q), with the cotangents
// c_q of the sample.
extern "C" __global__ __launch_bounds__(THREADS, FEWEST_BLOCKS) void relu_adjoint(
    const NUMBER *__restrict__ hidden, // (n_samples, LENGTH)
    const word *__restrict__ block_signs, // D_b
    const word *__restrict__ neuron_signs, // D_out
    const word *__restrict__ readout_signs, // v_q, (OUTPUTS, words of the blocks)
    wide n_words, wide n_samples, wide n_neurons, wide blocks_a_part, double scale,
    const NUMBER *__restrict__ cotangents, // (OUTPUTS, n_samples)
    NUMBER *__restrict__ adjoint) // (n_parts, n_samples, LENGTH)
{
    __shared__ NUMBER shared[LANES > 32 ? HELD * THREADS : 1], c[OUTPUTS][SAMPLES];
    const int lane = threadIdx.x % LANES, place = threadIdx.x / LANES;
    const wide sample = (wide)blockIdx.x * SAMPLES + place;
    const bool is_there = sample < n_samples;
    const wide part = blockIdx.y, first = part * blocks_a_part;
    NUMBER h[HELD], x[HELD], back[HELD] = {};
    load(h, hidden, sample, is_there, lane);
    for (int q = lane; q < OUTPUTS; q += LANES)
        c[q][place] = is_there ? cotangents[q * n_samples + sample] : 0;
    __syncthreads();
    for (wide block = first; block < first + blocks_a_part; ++block) {
        const wide rest = n_neurons - block * LENGTH;
        if (rest <= 0)
            break; // all threads of the grid's part leave together
        const int left = (int)(rest < LENGTH ? rest : LENGTH) - lane;
        const wide i = block * LANES + lane;
        const word in = block_signs[i], neuron = neuron_signs[i];
        expand(x, h, in, lane, shared);
        word open = 0;
#pragma unroll
        for (int r = 0; r < HELD; ++r) {
            open |= (word)(flip(x[r], neuron, r) > 0 && r * LANES < left) << r;
            x[r] = 0;
        }
#pragma unroll 2
        for (int q = 0; q < OUTPUTS; ++q) {
            const word v = readout_signs[q * n_words + i] ^ neuron;
            const NUMBER own = c[q][place];
#pragma unroll
            for (int r = 0; r < HELD; ++r)
                x[r] += flip(own, v, r);
        }
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            x[r] = (open >> r) & 1 ? x[r] : 0;
        transform(x, lane, shared);
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            back[r] += flip(x[r], in, r);
    }
    if (is_there)
        store(back, (NUMBER)scale, adjoint, part * n_samples + sample, lane);
}
