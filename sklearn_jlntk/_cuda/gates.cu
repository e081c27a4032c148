// Gates of neurons as packed bits, and what the open ones add up to, in one reading.
//
// Neighbouring threads have neighbouring samples; a warp votes on the gates of 32 samples,
// which make a word. Compiled for one NUMBER at a time.

#define EVERY_LANE 0xffffffffu

typedef unsigned int word;
typedef long long wide;

// Bits 1[p > 0] of pre-activations p, and for each part of the neurons the sums of
// v max(p, 0). The grid is samples by parts; all samples of a warp stay to the end.
extern "C" __global__ void gate_pass(
    const NUMBER *values, // (n_neurons, n_samples)
    const NUMBER *signs, // v, (n_neurons,)
    wide n_neurons, wide n_samples, wide neurons_a_part,
    word *gates, // (n_neurons, ceil(n_samples / 32))
    NUMBER *sums) // (n_parts, n_samples)
{
    const wide sample = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    const bool is_there = sample < n_samples;
    const wide n_words = (n_samples + 31) / 32, part = blockIdx.y;
    const wide stop = (part + 1) * neurons_a_part;
    NUMBER sum = 0;
    for (wide i = part * neurons_a_part; i < stop && i < n_neurons; ++i) {
        const NUMBER value = is_there ? values[i * n_samples + sample] : (NUMBER)0;
        const bool is_open = value > 0;
        const word bits = __ballot_sync(EVERY_LANE, is_open);
        if (is_there && threadIdx.x % 32 == 0)
            gates[i * n_words + sample / 32] = bits;
        sum += is_open ? signs[i] * value : (NUMBER)0;
    }
    if (is_there)
        sums[part * n_samples + sample] = sum;
}

// Numbers 0 and 1 of packed gates.
extern "C" __global__ void open_gates(
    const word *gates, // (n_neurons, ceil(n_samples / 32))
    wide n_neurons, wide n_samples, wide neurons_a_part,
    NUMBER *numbers) // (n_neurons, n_samples)
{
    const wide sample = (wide)blockIdx.x * blockDim.x + threadIdx.x;
    const wide n_words = (n_samples + 31) / 32;
    const wide stop = (blockIdx.y + (wide)1) * neurons_a_part;
    if (sample >= n_samples)
        return;
    for (wide i = blockIdx.y * neurons_a_part; i < stop && i < n_neurons; ++i)
        numbers[i * n_samples + sample] =
            gates[i * n_words + sample / 32] >> (sample % 32) & 1;
}
