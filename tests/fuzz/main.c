/* main.c - the fuzzer without an engine: replays files, and makes inputs of its own
 *
 * SPDX-License-Identifier: MIT
 *
 *     fuzz FILE...                        each file once
 *     fuzz -t SECONDS [-s SEED] FILE...   each file once, then inputs made of them and of chance for so long
 *
 * An input that ends the program, or that takes too long, is first written to the file fuzz-failure in the current
 * folder. SEED makes the same inputs again; what threads make of them is up to the system. */
#define _GNU_SOURCE 1
#include "fuzz.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 256, MOST_FILES = 256 };

struct input {
	size_t size;
	uint8_t bytes[MOST_BYTES];
};

static struct input files[MOST_FILES];
static size_t nfiles;
static struct input now;                 /* the one that runs: handlers write it out */
static uint64_t chance;

static void write_failure(int signal_number)
{
	static const char text[] = "the input is in the file fuzz-failure\n", hang[] = "it takes too long\n";
	const int file = open("fuzz-failure", O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (signal_number == SIGALRM)
		(void)!write(2, hang, sizeof hang - 1);
	if (file >= 0 && write(file, now.bytes, now.size) == (ssize_t)now.size)
		(void)!write(2, text, sizeof text - 1);
	signal(SIGABRT, SIG_DFL);
	abort();
}

static void run_now(void)
{
	const char *factor = getenv("MPPOOL_TEST_TIMEOUT_FACTOR");

	alarm(20 * (unsigned)(factor && atoi(factor) > 1 ? atoi(factor) : 1));
	LLVMFuzzerTestOneInput(now.bytes, now.size);
}

static uint64_t draw(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return chance * UINT64_C(2685821657736338717) >> 11;
}

static size_t below(size_t n)
{
	return (size_t)(draw() % n);
}

static void make_from_nothing(void)
{
	now.size = below(2) ? below(MOST_BYTES) : below(64);
	for (size_t i = 0; i < now.size; i++)
		now.bytes[i] = (uint8_t)draw();
}

/* A file with some bytes changed, a piece of another one over it, or an end of chance. */
static void make_from_file(void)
{
	now = files[below(nfiles)];
	for (size_t changes = 1 + below(8); changes > 0; changes--) {
		const struct input *other = &files[below(nfiles)];
		size_t at, n;

		switch (below(4)) {
		case 0:
			if (now.size > 0)
				now.bytes[below(now.size)] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			if (now.size > 0)
				now.bytes[below(now.size)] = (uint8_t)draw();
			break;
		case 2:
			if (other->size == 0)
				break;
			at = below(other->size);
			n = 1 + below(other->size - at);
			if (now.size + n <= MOST_BYTES) {
				memcpy(now.bytes + now.size, other->bytes + at, n);
				now.size += n;
			}
			break;
		default:
			while (now.size < MOST_BYTES && below(16))
				now.bytes[now.size++] = (uint8_t)draw();
		}
	}
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_and_run(double time, uint64_t seed)
{
	const double start = seconds();
	unsigned long count = 0;
	double passed;

	chance = (seed ^ UINT64_C(0x9e3779b97f4a7c15)) | 1;
	do {
		if (nfiles > 0 && below(2))
			make_from_file();
		else
			make_from_nothing();
		run_now();
		count++;
		passed = seconds() - start;
	} while (passed < time);
	printf("seed %" PRIu64 ": %lu inputs in %.1f s, %.0f a second\n", seed, count, passed, (double)count / passed);
}

static void read_file(const char *name)
{
	FILE *file = fopen(name, "rb");

	if (!file) {
		perror(name);
		exit(2);
	}
	if (nfiles == MOST_FILES)
		nfiles--;
	files[nfiles].size = fread(files[nfiles].bytes, 1, MOST_BYTES, file);
	fclose(file);
	nfiles++;
}

int main(int argc, char **argv)
{
	uint64_t seed = (uint64_t)time(NULL);
	double time = 0;
	int option;

	while ((option = getopt(argc, argv, "t:s:")) != -1) {
		if (option == 't') {
			time = atof(optarg);
		} else if (option == 's') {
			seed = strtoull(optarg, NULL, 10);
		} else {
			fprintf(stderr, "usage: fuzz [-t SECONDS] [-s SEED] FILE...\n");
			return 2;
		}
	}
	signal(SIGABRT, write_failure);
	signal(SIGSEGV, write_failure);
	signal(SIGALRM, write_failure);
	for (; optind < argc; optind++) {
		read_file(argv[optind]);
		now = files[nfiles - 1];
		run_now();
	}
	printf("%zu files\n", nfiles);
	if (time > 0)
		make_and_run(time, seed);
	return 0;
}
