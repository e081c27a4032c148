// Kernels with the block Hadamard transform of block_transform.cu.

// Words of sign bits in the order that the kernels read them, from int8 signs. Signs that
// are missing at the end count as +1.
extern "C" __global__ void pack_signs(
    const signed char *signs, wide n_signs, wide n_words, word *words)
{
    wide i = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_words)
        return;
    wide first = i / LANES * LENGTH + i % LANES;
    word bits = 0;
    for (int r = 0; r < HELD; ++r)
        if (first + r * LANES < n_signs && signs[first + r * LANES] < 0)
            bits |= 1u << r;
    words[i] = bits;
}

// For each sample h and the neurons A h = D_out [H D_1; H D_2; ...] h of a part of the
// blocks: the sum of v max(A h, 0), one for each warp of the sample, and A^T (v 1[A h > 0]).
// The grid is samples by parts. With q = H D_b h, a gate is open where D_out q > 0; then
// the neuron adds v D_out q to the sum, and v D_out is projected back.
extern "C" __global__ __launch_bounds__(THREADS) void relu_pass(
    const NUMBER *__restrict__ hidden, // (n_samples, LENGTH)
    const word *__restrict__ block_signs, // D_b
    const word *__restrict__ neuron_signs, // D_out
    const word *__restrict__ back_signs, // v D_out
    wide n_samples, wide n_neurons, wide blocks_a_part, double scale,
    double *__restrict__ sums, // (n_parts * warps of a sample, n_samples)
    NUMBER *__restrict__ gates) // (n_parts, n_samples, LENGTH)
{
    __shared__ NUMBER shared[LANES > 32 ? HELD * THREADS : 1];
    const int lane = threadIdx.x % LANES;
    const wide sample = (wide)blockIdx.x * SAMPLES + threadIdx.x / LANES;
    const bool is_there = sample < n_samples;
    const wide part = blockIdx.y, first = part * blocks_a_part;
    NUMBER h[HELD], x[HELD], back[HELD] = {};
    double total = 0;
    load(h, hidden, sample, is_there, lane);
    for (wide block = first; block < first + blocks_a_part; ++block) {
        const wide rest = n_neurons - block * LENGTH;
        if (rest <= 0)
            break; // all threads of the grid's part leave together
        const int left = (int)(rest < LENGTH ? rest : LENGTH) - lane;
        const wide i = block * LANES + lane;
        const word in = block_signs[i], neuron = neuron_signs[i], out = back_signs[i];
        expand(x, h, in, lane, shared);
        NUMBER sum = 0;
#pragma unroll
        for (int r = 0; r < HELD; ++r) {
            const bool is_open = flip(x[r], neuron, r) > 0 && r * LANES < left;
            sum += is_open ? flip(x[r], out, r) : (NUMBER)0;
            x[r] = is_open ? flip((NUMBER)1, out, r) : (NUMBER)0;
        }
        total += sum;
        transform(x, lane, shared);
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            back[r] += flip(x[r], in, r);
    }
#pragma unroll
    for (int step = 1; step < WARP_LANES; step *= 2)
        total += __shfl_xor_sync(EVERY_LANE, total, step);
    if (!is_there)
        return;
    const int warp = lane / WARP_LANES, n_warps = LANES / WARP_LANES;
    if (lane % WARP_LANES == 0)
        sums[(part * n_warps + warp) * n_samples + sample] = scale * total;
    store(back, (NUMBER)scale, gates, part * n_samples + sample, lane);
}

// Sum of D_b H D_out x_b over the blocks x_b of each row, of all LENGTH coordinates.
extern "C" __global__ __launch_bounds__(THREADS, 512 / THREADS) void sketch_rows(
    const NUMBER *__restrict__ rows, // (n_samples, n_inputs)
    const word *__restrict__ input_signs, // D_out
    const word *__restrict__ block_signs, // D_b
    wide n_samples, wide n_inputs, double scale,
    NUMBER *__restrict__ images) // (n_samples, LENGTH)
{
    __shared__ NUMBER shared[LANES > 32 ? HELD * THREADS : 1];
    const int lane = threadIdx.x % LANES;
    const wide sample = (wide)blockIdx.x * SAMPLES + threadIdx.x / LANES;
    const bool is_there = sample < n_samples;
    NUMBER x[HELD], total[HELD] = {};
    for (wide start = 0, i = lane; start < n_inputs; start += LENGTH, i += LANES) {
        const wide rest = is_there ? n_inputs - start : 0;
        const int left = (int)(rest < LENGTH ? rest : LENGTH) - lane;
        const NUMBER *row = rows + sample * n_inputs + start + lane;
        const word in = input_signs[i], out = block_signs[i];
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            x[r] = r * LANES < left ? flip(row[r * LANES], in, r) : (NUMBER)0;
        transform(x, lane, shared);
#pragma unroll
        for (int r = 0; r < HELD; ++r)
            total[r] += flip(x[r], out, r);
    }
    if (is_there)
        store(total, (NUMBER)scale, images, sample, lane);
}
