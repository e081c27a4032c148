// Steps of gradient descent between their matrix products.
//
// Samples are padded to a multiple of 16 by columns of zeros and of no weight. Sums go in
// an order that the sizes alone decide. Compiled for one NUMBER, SUM (the type of partial
// sums of outputs), number of OUTPUTS and of SLICES at a time.

#define THREADS 256
#define AT_ONCE 8
#define WIDE (16 / (int)sizeof(NUMBER))
#define LANES 32
#define GROUPS (THREADS / LANES)

typedef long long wide;

// What a thread loads and stores at a time: numbers of neighbouring samples, their gates.
struct alignas(16) Numbers {
    NUMBER at[WIDE];
};
struct alignas(WIDE) Gates {
    signed char at[WIDE];
};

// Sum of a number of each thread, for thread 0.
__device__ inline double total_of(double own, double *shared)
{
    shared[threadIdx.x] = own;
    for (int step = THREADS / 2; step; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step)
            shared[threadIdx.x] += shared[threadIdx.x + step];
    }
    return shared[0];
}

// A number to the 11 leading bits that TF32 keeps, rounded to the nearest.
__device__ inline float to_tf32(float x)
{
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7f800000u) == 0x7f800000u)
        return x; // infinite or not a number
    bits += 0xfffu + ((bits >> 13) & 1);
    return __uint_as_float(bits & ~0x1fffu);
}

__device__ inline void write_parts(
    float x, NUMBER *parts, wide row, wide column, wide n_columns)
{
    NUMBER *part = parts + row * 3 * n_columns + column;
    const float high = to_tf32(x);
    part[0] = to_tf32(x - high);
    part[n_columns] = part[2 * n_columns] = high;
}

// Gates 1[p > 0] of pre-activations p as bytes, and for each part of the neurons and each
// output the sums of v max(p, 0). The grid is samples by parts.
extern "C" __global__ __launch_bounds__(THREADS) void gate_bytes(
    const NUMBER *__restrict__ values, // (n_neurons, n_samples)
    const NUMBER *__restrict__ signs, // v, (n_neurons, OUTPUTS)
    wide n_neurons, wide n_samples, wide neurons_a_part,
    signed char *__restrict__ gates, // (n_neurons, n_samples)
    SUM *__restrict__ sums) // (n_parts, OUTPUTS, n_samples)
{
    const wide sample = WIDE * ((wide)blockIdx.x * blockDim.x + threadIdx.x);
    const wide part = blockIdx.y, end = (part + 1) * neurons_a_part;
    const wide stop = end < n_neurons ? end : n_neurons;
    if (sample >= n_samples)
        return;
    NUMBER sum[OUTPUTS][WIDE] = {};
    for (wide start = part * neurons_a_part; start < stop; start += AT_ONCE) {
        Numbers value[AT_ONCE] = {};
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
            if (start + j < stop)
                value[j] = *(const Numbers *)(values + (start + j) * n_samples + sample);
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j) {
            const wide i = start + j;
            if (i >= stop)
                break;
            Gates open;
#pragma unroll
            for (int t = 0; t < WIDE; ++t)
                open.at[t] = value[j].at[t] > 0;
            *(Gates *)(gates + i * n_samples + sample) = open;
#pragma unroll
            for (int q = 0; q < OUTPUTS; ++q)
#pragma unroll
                for (int t = 0; t < WIDE; ++t)
                    sum[q][t] += open.at[t] ? signs[i * OUTPUTS + q] * value[j].at[t] : 0;
        }
    }
#pragma unroll
    for (int q = 0; q < OUTPUTS; ++q)
#pragma unroll
        for (int t = 0; t < WIDE; ++t)
            sums[(part * OUTPUTS + q) * n_samples + sample + t] = sum[q][t];
}

// Cotangents c w (c u - y) of outputs c u, with c the scale, and for each thread block the
// sum of w (c u - y)^2. A partial sum of output q stands at `part` and `q` times their
// strides. The grid is LANES samples by outputs.
extern "C" __global__ __launch_bounds__(THREADS) void residuals(
    const SUM *__restrict__ sums, wide n_parts, wide part_stride, wide output_stride,
    const NUMBER *__restrict__ targets, // y, (OUTPUTS, n_samples)
    const NUMBER *__restrict__ weights, // w, (n_samples,)
    wide n_samples, double scale,
    NUMBER *__restrict__ cotangents, // (OUTPUTS, n_samples)
    double *__restrict__ squares) // (OUTPUTS, thread blocks)
{
    __shared__ double shared[THREADS];
    const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;
    const wide sample = (wide)blockIdx.x * LANES + lane, output = blockIdx.y;
    const wide place = output * n_samples + sample;
    double u = 0, square = 0;
    if (sample < n_samples)
        for (wide part = group; part < n_parts; part += GROUPS)
            u += sums[part * part_stride + output * output_stride + sample];
    shared[threadIdx.x] = u;
    __syncthreads();
    if (group == 0 && sample < n_samples) {
        for (int other = 1; other < GROUPS; ++other)
            u += shared[other * LANES + lane];
        const double residual = scale * u - targets[place];
        const double weighted = weights[sample] * residual;
        cotangents[place] = (NUMBER)(scale * weighted);
        square = weighted * residual;
    }
    __syncthreads();
    const double total = total_of(square, shared);
    if (threadIdx.x == 0)
        squares[output * ((n_samples + LANES - 1) / LANES) + blockIdx.x] = total;
}

// Cotangents times features in SLICES integers of 7 bits: with the largest modulus of a
// row as its scale, x = scale / 64 (q_0 + q_1 / 128 + q_2 / 128^2 + ...), |q| <= 64, up to
// half a unit of the last. The grid is features by outputs.
extern "C" __global__ __launch_bounds__(THREADS) void cut(
    const NUMBER *__restrict__ features, // (n_features, n_samples)
    const NUMBER *__restrict__ cotangents, // (OUTPUTS, n_samples)
    wide n_features, wide n_samples,
    signed char *__restrict__ slices, // (OUTPUTS, SLICES, n_features, n_samples)
    double *__restrict__ scales) // (OUTPUTS, n_features)
{
    __shared__ double shared[THREADS];
    const wide row = blockIdx.x, output = blockIdx.y;
    const NUMBER *f = features + row * n_samples, *c = cotangents + output * n_samples;
    double largest = 0;
    for (wide i = threadIdx.x; i < n_samples; i += THREADS) {
        const double size = fabs((double)f[i] * (double)c[i]);
        largest = size > largest ? size : largest;
    }
    shared[threadIdx.x] = largest;
    for (int step = THREADS / 2; step; step /= 2) {
        __syncthreads();
        if (threadIdx.x < step && shared[threadIdx.x + step] > shared[threadIdx.x])
            shared[threadIdx.x] = shared[threadIdx.x + step];
    }
    __syncthreads();
    const double scale = shared[0] > 1e-290 ? shared[0] : 1;
    if (threadIdx.x == 0)
        scales[output * n_features + row] = scale;
    for (wide i = threadIdx.x; i < n_samples; i += THREADS) {
        double x = (double)f[i] * (double)c[i] * (64 / scale);
#pragma unroll
        for (int k = 0; k < SLICES; ++k) {
            const double q = rint(x);
            slices[((output * SLICES + k) * n_features + row) * n_samples + i] =
                (signed char)q;
            x = (x - q) * 128;
        }
    }
}

// Weights after a step, and for each thread block the squared distance of the weights
// before it from the anchor. The gradient is v times the sum of the products of slices.
extern "C" __global__ __launch_bounds__(THREADS) void descend(
    const int *__restrict__ products, // (n_neurons, OUTPUTS, SLICES, n_features)
    const double *__restrict__ scales, // (OUTPUTS, n_features)
    const NUMBER *__restrict__ signs, // v, (n_neurons, OUTPUTS)
    const NUMBER *__restrict__ weights, // (n_neurons, n_features)
    const NUMBER *__restrict__ anchor, // (n_neurons, n_features)
    wide n_neurons, wide n_features, double rate, double alpha, wide has_parts,
    NUMBER *__restrict__ next, // (n_neurons, n_features)
    NUMBER *__restrict__ parts, // (n_neurons, 3, n_features): low, high, high of TF32
    double *__restrict__ penalties) // (thread blocks,)
{
    __shared__ double shared[THREADS];
    const wide i = (wide)blockIdx.x * THREADS + threadIdx.x;
    double square = 0;
    if (i < n_neurons * n_features) {
        const wide row = i / n_features, column = i % n_features;
        double gradient = 0;
#pragma unroll
        for (int q = 0; q < OUTPUTS; ++q) {
            const int *product =
                products + (row * OUTPUTS + q) * SLICES * n_features + column;
            double sum = 0;
#pragma unroll
            for (int k = SLICES - 1; k >= 0; --k)
                sum = sum / 128 + product[k * n_features];
            const double unit = scales[q * n_features + column] / 64;
            gradient += signs[row * OUTPUTS + q] * (sum * unit);
        }
        const double own = weights[i], shift = own - anchor[i];
        square = shift * shift;
        const NUMBER moved = (NUMBER)(own - rate * (gradient + alpha * shift));
        next[i] = moved;
        if (has_parts)
            write_parts((float)moved, parts, row, column, n_features);
    }
    const double total = total_of(square, shared);
    if (threadIdx.x == 0)
        penalties[blockIdx.x] = total;
}

// Open gates as the sum of v times the cotangents over the outputs, closed ones as 0. The
// grid is samples by parts of the neurons.
extern "C" __global__ __launch_bounds__(THREADS) void weigh_gates(
    const signed char *__restrict__ gates, // (n_neurons, n_samples)
    const NUMBER *__restrict__ signs, // v, (n_neurons, OUTPUTS)
    const NUMBER *__restrict__ cotangents, // (OUTPUTS, n_samples)
    wide n_neurons, wide n_samples, wide neurons_a_part,
    NUMBER *__restrict__ weighed) // (n_neurons, n_samples)
{
    const wide sample = WIDE * ((wide)blockIdx.x * blockDim.x + threadIdx.x);
    const wide end = (blockIdx.y + (wide)1) * neurons_a_part;
    const wide stop = end < n_neurons ? end : n_neurons;
    if (sample >= n_samples)
        return;
    Numbers cotangent[OUTPUTS];
#pragma unroll
    for (int q = 0; q < OUTPUTS; ++q)
        cotangent[q] = *(const Numbers *)(cotangents + q * n_samples + sample);
    for (wide i = blockIdx.y * neurons_a_part; i < stop; ++i) {
        const Gates open = *(const Gates *)(gates + i * n_samples + sample);
        Numbers sum = {};
#pragma unroll
        for (int q = 0; q < OUTPUTS; ++q)
#pragma unroll
            for (int t = 0; t < WIDE; ++t)
                sum.at[t] += signs[i * OUTPUTS + q] * cotangent[q].at[t];
#pragma unroll
        for (int t = 0; t < WIDE; ++t)
            sum.at[t] = open.at[t] ? sum.at[t] : 0;
        *(Numbers *)(weighed + i * n_samples + sample) = sum;
    }
}

// `descend` for a gradient that is there.
extern "C" __global__ __launch_bounds__(THREADS) void descend_plainly(
    const NUMBER *__restrict__ gradient, // (n_neurons, n_features)
    const NUMBER *__restrict__ weights, // (n_neurons, n_features)
    const NUMBER *__restrict__ anchor, // (n_neurons, n_features)
    wide n_neurons, wide n_features, double rate, double alpha, wide has_parts,
    NUMBER *__restrict__ next, // (n_neurons, n_features)
    NUMBER *__restrict__ parts, // (n_neurons, 3, n_features)
    double *__restrict__ penalties) // (thread blocks,)
{
    __shared__ double shared[THREADS];
    const wide i = (wide)blockIdx.x * THREADS + threadIdx.x;
    double square = 0;
    if (i < n_neurons * n_features) {
        const double own = weights[i], shift = own - anchor[i];
        square = shift * shift;
        const NUMBER moved = (NUMBER)(own - rate * (gradient[i] + alpha * shift));
        next[i] = moved;
        if (has_parts)
            write_parts((float)moved, parts, i / n_features, i % n_features, n_features);
    }
    const double total = total_of(square, shared);
    if (threadIdx.x == 0)
        penalties[blockIdx.x] = total;
}

// Numbers in parts of TF32, high + low, row by row: low, high, high.
extern "C" __global__ __launch_bounds__(THREADS) void parts_of(
    const NUMBER *__restrict__ numbers, // (n_rows, n_columns)
    wide n_rows, wide n_columns,
    NUMBER *__restrict__ parts) // (n_rows, 3, n_columns)
{
    const wide i = (wide)blockIdx.x * THREADS + threadIdx.x;
    if (i < n_rows * n_columns)
        write_parts((float)numbers[i], parts, i / n_columns, i % n_columns, n_columns);
}

// Projected gates, summed over the parts of the neurons, times the sample's cotangent, and
// summed over the outputs.
extern "C" __global__ __launch_bounds__(THREADS) void weigh(
    const NUMBER *__restrict__ gates, // (OUTPUTS, n_parts, n_samples, length)
    const NUMBER *__restrict__ cotangents, // (OUTPUTS, n_samples)
    wide n_parts, wide n_samples, wide length,
    NUMBER *__restrict__ weighed) // (n_samples, length)
{
    const wide i = (wide)blockIdx.x * THREADS + threadIdx.x, size = n_samples * length;
    if (i >= size)
        return;
    NUMBER total = 0;
    for (int q = 0; q < OUTPUTS; ++q) {
        NUMBER sum = 0;
        for (wide part = 0; part < n_parts; ++part)
            sum += gates[(q * n_parts + part) * size + i];
        total += sum * cotangents[q * n_samples + i / length];
    }
    weighed[i] = total;
}

// Weights after a step of a network with an expansion, also embedded among `length` rows,
// and the squared distances from the anchor.
extern "C" __global__ __launch_bounds__(THREADS) void descend_embedded(
    const NUMBER *__restrict__ gradient, // (n_features, length)
    const wide *__restrict__ positions, // (n_rows,)
    const NUMBER *__restrict__ weights, // (n_rows, n_features)
    const NUMBER *__restrict__ anchor, // (n_rows, n_features)
    wide n_rows, wide n_features, wide length, double rate, double alpha,
    NUMBER *__restrict__ next, // (n_rows, n_features)
    NUMBER *__restrict__ embedded, // (length, n_features)
    double *__restrict__ penalties) // (thread blocks,)
{
    __shared__ double shared[THREADS];
    const wide i = (wide)blockIdx.x * THREADS + threadIdx.x;
    double square = 0;
    if (i < n_rows * n_features) {
        const wide column = i % n_features, place = positions[i / n_features];
        const double own = weights[i], shift = own - anchor[i];
        square = shift * shift;
        const double slope = gradient[column * length + place] + alpha * shift;
        const NUMBER moved = (NUMBER)(own - rate * slope);
        next[i] = embedded[place * n_features + column] = moved;
    }
    const double total = total_of(square, shared);
    if (threadIdx.x == 0)
        penalties[blockIdx.x] = total;
}

// Half the sum of squares, plus half of alpha times that of penalties. One thread block.
extern "C" __global__ __launch_bounds__(THREADS) void loss_of(
    const double *__restrict__ squares, wide n_squares,
    const double *__restrict__ penalties, wide n_penalties, double alpha,
    double *__restrict__ loss) // (1,)
{
    __shared__ double shared[THREADS];
    double sum = 0;
    for (wide i = threadIdx.x; i < n_squares; i += THREADS)
        sum += squares[i];
    if (alpha != 0)
        for (wide i = threadIdx.x; i < n_penalties; i += THREADS)
            sum += alpha * penalties[i];
    const double total = total_of(sum, shared);
    if (threadIdx.x == 0)
        *loss = total / 2;
}
