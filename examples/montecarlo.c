/* montecarlo.c - pi from random points: the same digits for any number of workers.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./montecarlo -n 100000000
 *
 * A random state for each worker would give other digits in every run, because it is chance which worker takes which
 * chunk. So there is a state for each piece of the work, made from the number of the piece, which mppool_item_index()
 * tells; and the pieces do not depend on the number of workers. All pieces have the same argument: MPPOOL_REPEAT().
 * The counts are integers, whose sum does not depend on the order either, as that of floating-point numbers would. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <mppool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 100000, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "montecarlo: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

struct random {                          /* xoshiro256** */
	uint64_t s[4];
};

/* splitmix64: from one number on to the next, which makes well-mixed states of numbers that differ little. */
static uint64_t split_mix(uint64_t *x)
{
	uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static struct random random_for(uint64_t seed, size_t piece)
{
	uint64_t x = seed;
	struct random random;

	x = split_mix(&x) ^ piece;
	for (int i = 0; i < 4; i++)
		random.s[i] = split_mix(&x);
	return random;
}

static uint64_t rotate(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

static uint64_t random_next(struct random *random)
{
	uint64_t *s = random->s;
	const uint64_t result = rotate(s[1] * 5, 7) * 9;
	const uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

/* How many points of this piece are in the quarter circle? Coordinates are whole numbers up to 2^31: nothing is
 * rounded. */
static uint64_t count_inside(uint64_t seed)
{
	struct random random = random_for(seed, mppool_item_index());
	uint64_t inside = 0;

	for (int i = 0; i < PIECE; i++) {
		const uint64_t bits = random_next(&random);
		const uint64_t x = bits >> 33, y = bits & 0x7fffffff;

		inside += x * x + y * y < UINT64_C(1) << 62;
	}
	return inside;
}
MPPOOL_FUNC(count_task, uint64_t, count_inside, uint64_t);

static void estimate(size_t pieces, uint64_t seed, int workers)
{
	uint64_t *inside = calloc(pieces, sizeof *inside);
	uint64_t sum = 0;
	double n, pi;
	mppool *pool;

	check(inside ? 0 : ENOMEM, "starting");
	check(mppool_create(MPPOOL_OPTIONS(.workers = workers, .name = "montecarlo"), &pool), "mppool_create");
	check(mppool_map(pool, &count_task, MPPOOL_ZIP(pieces, MPPOOL_REPEAT(&seed)), inside, 0), "mppool_map");
	check(mppool_destroy(pool), "mppool_destroy");
	for (size_t i = 0; i < pieces; i++)
		sum += inside[i];
	free(inside);

	n = (double)pieces * PIECE;
	pi = 4.0 * (double)sum / n;
	printf("%.0f points, %ju inside\n", n, (uintmax_t)sum);
	printf("pi is about %.10f, give or take %.10f\n", pi, sqrt(pi * (4.0 - pi) / n));
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
}

static void usage(FILE *to)
{
	fputs("Usage: montecarlo [OPTION]...\n"
	      "Estimate pi by random points in a square. The digits do not depend on the number of workers.\n"
	      "\n"
	      "  -n POINTS    rounded up to a multiple of 100000; the default is 10000000\n"
	      "  -r SEED      a whole number: other points\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -h, --help   show this help\n",
	      to);
}

static unsigned long long parse_number(int option, const char *text, unsigned long long min, unsigned long long max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < min || value > max) {
		fprintf(stderr, "montecarlo: -%c takes a number from %llu to %llu\n", option, min, max);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	unsigned long long points = 10000000, seed = 0;
	int workers = 0;
	int option;

	while ((option = getopt_long(argc, argv, "hn:p:r:", long_options, NULL)) != -1) {
		switch (option) {
		case 'n': points = parse_number('n', optarg, 1, 1000000000000); break;
		case 'r': seed = parse_number('r', optarg, 0, UINT64_MAX); break;
		case 'p': workers = (int)parse_number('p', optarg, 1, MAX_WORKERS); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	estimate((size_t)((points + PIECE - 1) / PIECE), seed, workers);
	return EXIT_SUCCESS;
}
