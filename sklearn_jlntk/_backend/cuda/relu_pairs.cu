// Kernels of ReLU networks between unit columns, made of their products in place.
//
// A pair has s = 1 - cos and c = 1 + cos; layers act on these, which keeps the relative
// error of small angles. Where a cosine near one does not determine its angle, s or c comes
// from the difference of the columns themselves. A thread block has a tile of SIDE columns
// on either side; neighbouring threads have neighbouring columns y. It reads all products
// of its tile before it works on the first: eight or sixteen are on their way at a time.
// Compiled for one NUMBER and KIND, with or without BIAS, at a time.

#define SIDE 64
#define THREADS 256
#define STEP (THREADS / SIDE)
#define ARC_SINE 0 // first layer trained, one hidden layer, no bias
#define FIRST 1
#define ALL 2
#define NNGP 3

#define PI ((NUMBER)3.14159265358979323846)
#define PER_PI ((NUMBER)0.31830988618379067154)

typedef long long wide;

// One side of the pairs: unit columns, their factors, and of each layer the share of the
// signal in the norm, with sine and cosine of half the angle that the bias turns it by.
struct Side {
    const NUMBER *columns; // (n_inputs, n)
    const NUMBER *scales; // (n,)
    const NUMBER *layers; // (depth + 1, 3, n)
    wide n;
};

__device__ inline NUMBER with_bias(
    NUMBER s, const Side &x, wide i, const Side &y, wide j, int layer, int sign)
{
    const NUMBER *in_x = x.layers + layer * 3 * x.n + i;
    const NUMBER *in_y = y.layers + layer * 3 * y.n + j;
    const NUMBER half = in_x[x.n] * in_y[2 * y.n] + sign * in_x[2 * x.n] * in_y[y.n];
    return s * in_x[0] * in_y[0] + 2 * half * half;
}

// Half the squared norm of the difference, or of the sum, of two columns.
__device__ inline NUMBER gap_of(
    const Side &x, wide i, const Side &y, wide j, wide n_inputs, bool is_parallel)
{
    double total = 0;
    for (wide k = 0; k < n_inputs; ++k) {
        const NUMBER a = x.columns[k * x.n + i], b = y.columns[k * y.n + j];
        const double difference = is_parallel ? a - b : a + b;
        total += difference * difference;
    }
    return (NUMBER)(total / 2);
}

// Kernel of column i of x and column j of y, from their product rho.
__device__ inline NUMBER kernel_of(
    NUMBER rho, const Side &x, wide i, const Side &y, wide j,
    wide n_inputs, int depth, NUMBER limit)
{
    NUMBER s = 1 - rho, c = 1 + rho;
    const bool is_near = fabs(rho) > 1 - limit;
    if (is_near) {
        const bool is_parallel = rho > 0;
        const NUMBER gap = gap_of(x, i, y, j, n_inputs, is_parallel);
        s = is_parallel ? gap : 2 - gap;
        c = is_parallel ? 2 - gap : gap;
    }
    NUMBER result;
#if KIND == ARC_SINE
    if (is_near)
        result = (c - s) / 2 * (2 * PER_PI * atan2(sqrt(c), sqrt(s)));
    else
        result = rho * (PER_PI * asin(rho) + (NUMBER)0.5);
#else
    const NUMBER product = (c - s) / 2;
    NUMBER gates = 1, tangent = 0;
#if BIAS
    c = with_bias(c, x, i, y, j, 0, 1);
    s = with_bias(s, x, i, y, j, 0, -1);
#endif
    for (int layer = 0; layer < depth; ++layer) {
        const NUMBER sine = sqrt(s * c), cosine = (c - s) / 2;
        const NUMBER share = PER_PI * atan2(sine, cosine);
        s -= PER_PI * sine - share * cosine;
        s = s < 0 ? 0 : s;
        gates *= 1 - share;
        tangent = (tangent + cosine) * (1 - share);
#if BIAS
        s = with_bias(s, x, i, y, j, layer + 1, -1);
        tangent *= x.layers[(layer + 1) * 3 * x.n + i];
        tangent *= y.layers[(layer + 1) * 3 * y.n + j];
#endif
        c = 2 - s;
    }
    result = KIND == FIRST ? product * gates : (c - s) / 2;
    if (KIND == ALL)
        result += tangent;
#endif
    return result * x.scales[i] * y.scales[j];
}

// Kernel between two sets of columns. A thread block for each tile, row by row of tiles.
extern "C" __global__ __launch_bounds__(THREADS) void relu_pairs(
    NUMBER *__restrict__ products, // (n_x, n_y)
    const NUMBER *__restrict__ x_columns, const NUMBER *__restrict__ x_scales,
    const NUMBER *__restrict__ x_layers, wide n_x,
    const NUMBER *__restrict__ y_columns, const NUMBER *__restrict__ y_scales,
    const NUMBER *__restrict__ y_layers, wide n_y,
    wide n_inputs, wide depth, double limit)
{
    __shared__ NUMBER tile[SIDE][SIDE];
    const Side x = {x_columns, x_scales, x_layers, n_x};
    const Side y = {y_columns, y_scales, y_layers, n_y};
    const unsigned tiles = (unsigned)((n_y + SIDE - 1) / SIDE);
    const int lane = threadIdx.x % SIDE, first = threadIdx.x / SIDE;
    const wide top = (wide)(blockIdx.x / tiles) * SIDE;
    const wide j = (wide)(blockIdx.x % tiles) * SIDE + lane;
#pragma unroll 8 // with all 16, indices would be spilled
    for (int row = 0; row < SIDE; row += STEP) {
        const wide i = top + first + row;
        if (i < n_x && j < n_y)
            tile[first + row][lane] = products[i * n_y + j];
    }
    for (int row = first; row < SIDE; row += STEP) {
        const wide i = top + row;
        if (i < n_x && j < n_y)
            products[i * n_y + j] = kernel_of(
                tile[row][lane], x, i, y, j, n_inputs, (int)depth, (NUMBER)limit);
    }
}

// Kernel of a set of columns with itself, of the products in the lower triangle. A thread
// block for each tile of that triangle; it writes the mirrored tile as well.
extern "C" __global__ __launch_bounds__(THREADS) void relu_pairs_of_one_set(
    NUMBER *__restrict__ products, // (n, n)
    const NUMBER *__restrict__ columns, const NUMBER *__restrict__ scales,
    const NUMBER *__restrict__ layers, const NUMBER *__restrict__ diagonal,
    wide n, wide n_inputs, wide depth, double limit)
{
    __shared__ NUMBER tile[SIDE][SIDE + 1];
    const Side x = {columns, scales, layers, n};
    const wide place = blockIdx.x;
    wide down = (wide)((sqrt(8.0f * place + 1) - 1) / 2); // up to rounding
    while (down * (down + 1) / 2 > place)
        --down;
    while ((down + 1) * (down + 2) / 2 <= place)
        ++down;
    const wide top = down * SIDE, left = (place - down * (down + 1) / 2) * SIDE;
    const int lane = threadIdx.x % SIDE, first = threadIdx.x / SIDE;
    const wide j = left + lane;
#pragma unroll
    for (int row = 0; row < SIDE; row += STEP) {
        const wide i = top + first + row;
        if (i < n && j < i)
            tile[first + row][lane] = products[i * n + j];
    }
    for (int row = first; row < SIDE; row += STEP) {
        const wide i = top + row;
        if (i < n && j <= i) {
            NUMBER value = diagonal[i];
            if (j < i)
                value = kernel_of(
                    tile[row][lane], x, i, x, j, n_inputs, (int)depth, (NUMBER)limit);
            products[i * n + j] = tile[row][lane] = value;
        }
    }
    __syncthreads();
    for (int row = first; row < SIDE; row += STEP) {
        const wide i = left + row, k = top + lane;
        if (k < n && i < k)
            products[i * n + k] = tile[lane][row];
    }
}
