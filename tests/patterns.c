/* patterns.c - twelve programs that people write with a pool, each as short as it gets
 *
 * SPDX-License-Identifier: MIT
 *
 * check-patterns.sh compiles and runs this file, and counts in each part the lines that have to do with the pool:
 * there may be no more of them than its heading says. What the programs do besides is made up. */
#define _GNU_SOURCE
#include <errno.h>
#include <mppool.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define EXPECT(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			failures++; \
		} \
	} while (0)

/* pattern: URL checker, at most 15 lines */
struct page {
	const char *url;
	int status;
};
static struct page check(struct page page)
{
	page.status = strlen(page.url) > 4 ? 200 : mppool_raise(EHOSTUNREACH, "no host %s", page.url);
	return page;
}
MPPOOL_FUNC(check_task, struct page, check, struct page);

static void url_checker(void)
{
	const struct page pages[] = {{"http://a", 0}, {"bad", 0}, {"http://b", 0}};
	struct page page;
	size_t i, good = 0, bad = 0;
	mppool_iter *iter;

	MPPOOL_WITH(pool, .workers = 8)
		if (check_task_imap_unordered(pool, pages, MPPOOL_LENGTH(pages), 1, 0, NULL, &iter) == 0) {
			MPPOOL_FOR_EACH(code, check_task_next(iter, &page, &i, MPPOOL_FOREVER))
				if (code)
					bad += i == 1 && strcmp(mppool_last_error()->message, "no host bad") == 0;
				else
					good += page.status == 200;
			mppool_iter_free(iter);
		}
	EXPECT(good == 2 && bad == 1);
}

/* pattern: image tiles, at most 14 lines */
static int load_palette(void *arg, void **state) { return (*state = arg) ? 0 : ENOMEM; }
static int shade(int x, int y) { return ((const int *)mppool_worker_state())[(x + y) % 2]; }
MPPOOL_FUNC(shade_task, int, shade, int, int);

static void image_tiles(void)
{
	static int palette[] = {10, 20};
	const int xs[] = {0, 0, 1, 1}, ys[] = {0, 1, 0, 1};
	int tiles[4] = {0, 0, 0, 0};

	MPPOOL_WITH(pool, .initializer = load_palette, .initarg = palette)
		EXPECT(shade_task_starmap(pool, xs, ys, 4, tiles, 0) == 0);
	EXPECT(tiles[0] == 10 && tiles[1] == 20 && tiles[3] == 10);
}

/* pattern: log parser, at most 10 lines */
static long parse(const char *line)
{
	char *end;
	const long bytes = strtol(line, &end, 10);

	return end == line ? mppool_raise(EINVAL, "no number in \"%s\"", line) : bytes;
}
MPPOOL_FUNC(parse_task, long, parse, const char *);

static void log_parser(void)
{
	const char *const lines[] = {"100 GET", "oops", "250 PUT"};
	long bytes[3] = {0, 0, 0};
	int codes[3] = {-1, -1, -1};
	mppool_result *result;

	MPPOOL_WITH(pool)
		if (parse_task_map_async(pool, lines, 3, bytes, 2, MPPOOL_CALL(.codes = codes), &result) == 0) {
			EXPECT(parse_task_get(result, NULL, MPPOOL_FOREVER) == MPPOOL_ETASK);
			mppool_result_free(result);
		}
	EXPECT(!codes[0] && codes[1] == EINVAL && !codes[2] && bytes[0] + bytes[2] == 350);
}

/* pattern: brute force, at most 17 lines */
struct search {
	mppool *pool;
	int key;
};
static int attempt(int from)
{
	for (int key = from; key < from + 1000 && !mppool_should_stop(); key++)
		if (key * 7 % 10007 == 42)
			return key;
	return -1;
}
MPPOOL_FUNC(attempt_task, int, attempt, int);
static void found(const int *key, size_t n, struct search *search)
{
	if (n == 1 && *key >= 0) {
		search->key = *key;
		mppool_terminate(search->pool);
	}
}
MPPOOL_CALLBACK(on_attempt, attempt_task, found, struct search);

static void brute_force(void)
{
	struct search search = {NULL, -1};

	MPPOOL_WITH(pool) {
		search.pool = pool;
		for (int from = 0; from < 10000; from += 1000)
			if (attempt_task_apply_async(pool, from,
			                             MPPOOL_CALL(.callback = on_attempt, .userdata = &search), NULL))
				break;
		mppool_close(pool);
		EXPECT(mppool_join(pool, MPPOOL_FOREVER) == 0);
	}
	EXPECT(search.key == 6);
}

/* pattern: corpus reader, at most 17 lines */
struct corpus {
	int at;
	atomic_int freed;
};
static struct corpus corpus;
static size_t letters(char *text) { return strlen(text); }
MPPOOL_FUNC(letters_func, size_t, letters, char *);
static void free_text(const void *const args[], void *context)
{
	(void)context;
	free(*(char *const *)args[0]);
	atomic_fetch_add(&corpus.freed, 1);
}
static int next_text(char **text, struct corpus *from)
{
	if (from->at == 20)
		return MPPOOL_ESTOP;
	*text = calloc(1, (size_t)++from->at + 1);
	return *text ? (memset(*text, 'x', (size_t)from->at), 0) : ENOMEM;
}
MPPOOL_GENERATOR(texts, next_text, struct corpus, char *);

static void corpus_reader(void)
{
	struct mppool_func letters_task = letters_func;
	size_t n, sum = 0;
	mppool_iter *iter;

	letters_task.drop_args = free_text;
	MPPOOL_WITH(pool)
		if (mppool_imap(pool, &letters_task, MPPOOL_ITEMS(texts, &corpus), 1, 4, NULL, &iter) == 0) {
			while (letters_func_next(iter, &n, NULL, MPPOOL_FOREVER) == 0)
				sum += n;
			mppool_iter_free(iter);
		}
	EXPECT(sum == 210 && corpus.freed == 20);
}

/* pattern: test runner, at most 24 lines */
struct outcome {
	char output[32];
};
static struct outcome run(int test)
{
	struct outcome outcome;

	snprintf(outcome.output, sizeof outcome.output, "test %d", test);
	while (test == 2 && !mppool_should_stop())
		poll(NULL, 0, 1);
	return outcome;
}
MPPOOL_FUNC(run_task, struct outcome, run, int);

static void test_runner(void)
{
	const int tests[] = {1, 2, 3};
	struct outcome outcomes[3];
	int codes[3] = {-1, -1, -1};
	mppool_result *result;

	MPPOOL_WITH(pool)
		if (run_task_map_async(pool, tests, 3, outcomes, 1, MPPOOL_CALL(.codes = codes, .task_timeout = 0.05),
		                       &result) == 0) {
			EXPECT(run_task_get(result, NULL, MPPOOL_FOREVER) == MPPOOL_ETASK);
			mppool_result_free(result);
		}
	EXPECT(codes[0] == 0 && codes[1] == ETIMEDOUT && strcmp(outcomes[2].output, "test 3") == 0);
}

/* pattern: Monte Carlo, at most 10 lines */
static int seed(void *arg, void **state) { return (*state = calloc(1, sizeof(unsigned))) ? (void)arg, 0 : ENOMEM; }
static void unseed(void *arg, void *state) { (void)arg, free(state); }
static int hits(int n)
{
	unsigned *x = mppool_worker_state();
	int hit = 0;

	for (int i = 0; i < n; i++)
		hit += (*x = *x * 1664525u + 1013904223u) >> 31 == 0;
	return hit;
}
MPPOOL_FUNC(hits_task, int, hits, int);

static void monte_carlo(void)
{
	const int throws[] = {10000, 10000, 10000, 10000};
	int results[4] = {0, 0, 0, 0};

	MPPOOL_WITH(pool, .initializer = seed, .finalizer = unseed)
		EXPECT(hits_task_map(pool, throws, 4, results, 1) == 0);
	EXPECT(abs(results[0] + results[1] + results[2] + results[3] - 20000) < 2000);
}

/* pattern: items that stall, at most 14 lines */
static atomic_int go_on;
static int stall(int x)
{
	while (x == 1 && !atomic_load(&go_on))
		poll(NULL, 0, 1);
	return x == 2 ? mppool_raise(EIO, "item %d", x) : x;
}
MPPOOL_FUNC(stall_task, int, stall, int);

static void items_that_stall(void)
{
	const int xs[] = {0, 1, 2, 3};
	int y, good = 0, failed = 0, late = 0;
	mppool_iter *iter;

	MPPOOL_WITH(pool)
		if (stall_task_imap(pool, xs, 4, 1, 0, NULL, &iter) == 0) {
			MPPOOL_FOR_EACH(code, stall_task_next(iter, &y, NULL, 0.02)) {
				good += code == 0;
				failed += code == MPPOOL_ETASK;
				if (code == ETIMEDOUT && ++late)
					atomic_store(&go_on, 1);
			}
			mppool_iter_free(iter);
		}
	EXPECT(good == 3 && failed == 1 && late > 0);
}

/* pattern: nested merge sort, at most 6 lines */
static void sort(int *xs, int *spare, int n);
MPPOOL_PROC(sort_task, sort, int *, int *, int);
static void sort(int *xs, int *spare, int n)
{
	int *const parts[] = {xs, xs + n / 2}, *const spares[] = {spare, spare + n / 2};
	const int ns[] = {n / 2, n - n / 2};

	if (n < 2)
		return;
	if (sort_task_starmap(mppool_current(), parts, spares, ns, 2, 1))
		abort();
	for (int i = 0, a = 0, b = n / 2; i < n; i++)
		spare[i] = b == n || (a < n / 2 && xs[a] <= xs[b]) ? xs[a++] : xs[b++];
	memcpy(xs, spare, (size_t)n * sizeof *xs);
}

static void nested_merge_sort(void)
{
	int xs[] = {5, 3, 9, 1, 7, 2, 8}, spare[7];

	MPPOOL_WITH(pool)
		EXPECT(sort_task_apply(pool, xs, spare, 7) == 0);
	EXPECT(xs[0] == 1 && xs[3] == 5 && xs[6] == 9);
}

/* pattern: poll() loop, at most 17 lines */
static long cube(int x) { return (long)x * x * x; }
MPPOOL_FUNC(cube_task, long, cube, int);
static void add(const long *results, size_t n, long *sum) { *sum += n == 1 ? *results : 0; }
MPPOOL_CALLBACK(on_cube, cube_task, add, long);

static void poll_loop(void)
{
	long sum = 0;
	size_t done = 0, ran;
	struct pollfd fd = {.events = POLLIN};

	MPPOOL_WITH(pool, .callback_mode = MPPOOL_CALLBACKS_POLL)
		if (mppool_fd(pool, &fd.fd) == 0) {
			for (int x = 1; x <= 3; x++)
				EXPECT(cube_task_apply_async(pool, x,
				                             MPPOOL_CALL(.callback = on_cube, .userdata = &sum), NULL) == 0);
			for (; done < 3 && poll(&fd, 1, -1) == 1; done += ran)
				if (mppool_poll(pool, 0, &ran))
					break;
		}
	EXPECT(sum == 36);
}

/* pattern: tile writer, at most 15 lines */
struct tile {
	char *bytes;
	size_t n;
};
static struct tile encode(int n)
{
	struct tile tile = {malloc((size_t)n), (size_t)n};

	if (tile.bytes)
		memset(tile.bytes, n, tile.n);
	else
		mppool_raise(ENOMEM, "no memory");
	return tile;
}
MPPOOL_FUNC(encode_task, struct tile, encode, int);

static void tile_writer(void)
{
	const int ns[] = {1, 20, 300};
	struct tile tile;
	size_t written = 0;
	mppool_iter *iter;

	MPPOOL_WITH(pool, .max_tasks_per_worker = 1)
		if (encode_task_imap(pool, ns, 3, 1, 0, NULL, &iter) == 0) {
			while (encode_task_next(iter, &tile, NULL, MPPOOL_FOREVER) == 0) {
				written += tile.n;
				free(tile.bytes);
			}
			mppool_iter_free(iter);
		}
	EXPECT(written == 321);
}

/* pattern: file splitter, at most 13 lines */
struct part {
	const char *file;
	long size;
	int fd;
	long from;
};
static long copy(struct part part) { return part.file && part.from + part.size <= 40960 ? part.fd * part.size : -1; }
MPPOOL_FUNC(copy_task, long, copy, struct part);

static int next_part(struct part *part, struct part *all)
{
	*part = *all;
	all->from += all->size;
	return part->from < 10 * all->size ? 0 : MPPOOL_ESTOP;
}
MPPOOL_GENERATOR(parts, next_part, struct part, struct part);

static void file_splitter(void)
{
	struct part all = {"file", 4096, 1, 0};
	long n, copied = 0;
	mppool_iter *iter;

	MPPOOL_WITH(pool)
		if (copy_task_imap_unordered_from(pool, MPPOOL_FROM(parts, &all), 1, 0, NULL, &iter) == 0) {
			while (copy_task_next(iter, &n, NULL, MPPOOL_FOREVER) == 0)
				if ((copied += n) < 0)  /* a progress bar shows copied here */
					break;
			mppool_iter_free(iter);
		}
	EXPECT(copied == 40960);
}

/* pattern: end */
int main(void)
{
	url_checker();
	image_tiles();
	log_parser();
	brute_force();
	corpus_reader();
	test_runner();
	monte_carlo();
	items_that_stall();
	nested_merge_sort();
	poll_loop();
	tile_writer();
	file_splitter();
	return failures > 0;
}
