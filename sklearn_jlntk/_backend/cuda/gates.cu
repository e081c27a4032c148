// Gates of neurons as packed bits, and the outputs of the open ones, from one reading.
//
// Neighbouring threads have neighbouring samples; a warp votes on the gates of 32 samples,
// which make a word. A thread loads the numbers of several neurons before it uses the
// first one, to hide the latency of memory. Compiled for one NUMBER at a time.

#define EVERY_LANE 0xffffffffu
#define AT_ONCE 8

typedef unsigned int word;
typedef long long wide;

// Bits 1[p > 0] of pre-activations p, and for each part of the neurons the sums of
// v max(p, 0). The grid is samples by parts; no thread of a warp returns early, as all vote.
extern "C" __global__ void gate_pass(
    const NUMBER *__restrict__ values, // (n_neurons, n_samples)
    const NUMBER *__restrict__ signs, // v, (n_neurons,)
    wide n_neurons, wide n_samples, wide neurons_a_part,
    word *__restrict__ gates, // (n_neurons, ceil(n_samples / 32))
    NUMBER *__restrict__ sums) // (n_parts, n_samples)
{
    const wide sample = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    const bool is_there = sample < n_samples;
    const bool is_writer = is_there && threadIdx.x % 32 == 0;
    const wide n_words = (n_samples + 31) / 32, part = blockIdx.y;
    const wide end = (part + 1) * neurons_a_part;
    const wide stop = end < n_neurons ? end : n_neurons;
    NUMBER sum = 0;
    for (wide start = part * neurons_a_part; start < stop; start += AT_ONCE) {
        NUMBER value[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
            value[j] = is_there && start + j < stop
                ? values[(start + j) * n_samples + sample] : (NUMBER)0;
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j) {
            const wide i = start + j;
            const bool is_open = value[j] > 0;
            const word bits = __ballot_sync(EVERY_LANE, is_open);
            if (is_writer && i < stop)
                gates[i * n_words + sample / 32] = bits;
            sum += is_open ? signs[i] * value[j] : (NUMBER)0;
        }
    }
    if (is_there)
        sums[part * n_samples + sample] = sum;
}

// Numbers 0 and 1 of packed gates.
extern "C" __global__ void open_gates(
    const word *__restrict__ gates, // (n_neurons, ceil(n_samples / 32))
    wide n_neurons, wide n_samples, wide neurons_a_part,
    NUMBER *__restrict__ numbers) // (n_neurons, n_samples)
{
    const wide sample = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    const wide n_words = (n_samples + 31) / 32;
    const wide end = (blockIdx.y + (wide)1) * neurons_a_part;
    const wide stop = end < n_neurons ? end : n_neurons;
    if (sample >= n_samples)
        return;
    for (wide start = blockIdx.y * neurons_a_part; start < stop; start += AT_ONCE) {
        word bits[AT_ONCE];
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
            bits[j] = start + j < stop ? gates[(start + j) * n_words + sample / 32] : 0;
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
            if (start + j < stop)
                numbers[(start + j) * n_samples + sample] = bits[j] >> (sample % 32) & 1;
    }
}
