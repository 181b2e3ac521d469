/* white_parts.c - the parts of the library that threads meet in, and its arithmetic, each by itself
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1

#include "support.h"

#include "cpu.h"
#include "deque.h"
#include "items.h"
#include "memory.h"
#include "pool.h"
#include "queue.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---------------------------------------------------------------------------------------------------- the CPU quota */

/* A folder that looks like /proc/self and /sys/fs/cgroup. */
struct layout {
	char folder[64];
	char cgroup[96];
};

static void layout_make(struct layout *layout)
{
	strcpy(layout->folder, "/tmp/mppool-cpu-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(layout->folder));
	snprintf(layout->cgroup, sizeof layout->cgroup, "%s/cgroup", layout->folder);
}

static void put(const struct layout *layout, const char *path, const char *text)
{
	char name[256];
	FILE *file;

	for (const char *at = path; (at = strchr(at, '/')) != NULL; at++) {
		snprintf(name, sizeof name, "%s/%.*s", layout->folder, (int)(at - path), path);
		mkdir(name, 0700);
	}
	snprintf(name, sizeof name, "%s/%s", layout->folder, path);
	file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void layout_remove(const struct layout *layout)
{
	char command[128];

	snprintf(command, sizeof command, "rm -r %s", layout->folder);
	ck_assert_int_eq(system(command), 0);
}

static int quota_of(const struct layout *layout)
{
	return mpp_cpu_quota(layout->cgroup, layout->folder);
}

START_TEST(quota_of_cgroup_v2_is_rounded_up)
{
	struct layout layout;

	layout_make(&layout);
	put(&layout, "cgroup", "0::/user/job\n");
	put(&layout, "user/job/cpu.max", "250000 100000\n");
	ck_assert_int_eq(quota_of(&layout), 3);
	put(&layout, "user/job/cpu.max", "50000 100000\n");
	ck_assert_int_eq(quota_of(&layout), 1);
	put(&layout, "user/job/cpu.max", "max 100000\n");
	ck_assert_int_eq(quota_of(&layout), INT_MAX);
	layout_remove(&layout);
}
END_TEST

START_TEST(quota_of_a_parent_counts)
{
	struct layout layout;

	layout_make(&layout);
	put(&layout, "cgroup", "0::/user/job\n");
	put(&layout, "user/job/cpu.max", "800000 100000\n");
	put(&layout, "user/cpu.max", "200000 100000\n");
	ck_assert_int_eq(quota_of(&layout), 2);
	put(&layout, "cpu.max", "100000 100000\n");
	ck_assert_int_eq(quota_of(&layout), 1);
	layout_remove(&layout);
}
END_TEST

START_TEST(quota_of_cgroup_v1_comes_from_the_cpu_controller)
{
	struct layout layout;

	layout_make(&layout);
	put(&layout, "cgroup", "5:cpuset:/job\n4:cpu,cpuacct:/job\n3:memory:/job\n");
	put(&layout, "cpu/job/cpu.cfs_quota_us", "400000\n");
	put(&layout, "cpu/job/cpu.cfs_period_us", "100000\n");
	ck_assert_int_eq(quota_of(&layout), 4);
	put(&layout, "cpu/job/cpu.cfs_quota_us", "-1\n");
	ck_assert_int_eq(quota_of(&layout), INT_MAX);
	layout_remove(&layout);
}
END_TEST

/* Paths of more than a thousand bytes; and one of more than there can be, whose parents count, and whose end is not
 * taken for another line. */
START_TEST(quota_of_long_paths)
{
	char path[8192] = "", line[8300];
	size_t length = 0;
	struct layout layout;

	layout_make(&layout);
	ck_assert_int_eq(chdir(layout.folder), 0);
	while (length < 3600) {
		length += (size_t)sprintf(path + length, "/%0200d", (int)length);
		ck_assert_int_eq(mkdir(path + length - 200, 0700), 0);
		ck_assert_int_eq(chdir(path + length - 200), 0);
	}
	FILE *file = fopen("cpu.max", "w");
	ck_assert_ptr_nonnull(file);
	fputs("300000 100000\n", file);
	fclose(file);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(line, sizeof line, "9:memory:/\n0::%s\n", path);
	put(&layout, "cgroup", line);
	ck_assert_int_eq(quota_of(&layout), 3);
	while (length < 7000)
		length += (size_t)sprintf(path + length, "/0::/odd");
	put(&layout, "odd/cpu.max", "100000 100000\n");
	snprintf(line, sizeof line, "0::%s\n9:memory:/\n", path);
	put(&layout, "cgroup", line);
	ck_assert_int_eq(quota_of(&layout), 3);
	put(&layout, "cpu.max", "200000 100000\n");
	ck_assert_int_eq(quota_of(&layout), 2);
	layout_remove(&layout);
}
END_TEST

START_TEST(quota_without_or_with_odd_files_is_none)
{
	struct layout layout;

	layout_make(&layout);
	ck_assert_int_eq(quota_of(&layout), INT_MAX);            /* no file at all */
	put(&layout, "cgroup", "nonsense\n::\n7:cpux:/job\n0::/job\n");
	put(&layout, "job/cpu.max", "0 0\n");
	ck_assert_int_eq(quota_of(&layout), INT_MAX);
	ck_assert_int_ge(mppool_cpu_count(), 1);
	layout_remove(&layout);
}
END_TEST

START_TEST(estimate_follows_the_affinity)
{
	cpu_set_t all, one;
	int cpu = 0;

	ck_assert_int_eq(mpp_cpu_estimate(), mpp_cpu_usable());
	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET((size_t)cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_int_eq(mpp_cpu_estimate(), 1);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
	ck_assert_int_eq(mpp_cpu_estimate(), mpp_cpu_usable());
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- parking */

/* A time that is rounded to whole seconds, or read from other bytes than it was written to, comes too early here. */
START_TEST(park_lasts_until_its_deadline)
{
	static _Atomic uint32_t word;
	int64_t start = mpp_now(), deadline;

	for (int i = 1; i <= 3; i++) {
		assert_ok(mpp_deadline(0.3, &deadline));
		while (mpp_park(&word, 0, deadline) == 0)
			;
		ck_assert_int_ge(mpp_now(), deadline);
	}
	if (!under_valgrind())
		ck_assert_int_lt(mpp_now() - start, (int64_t)(10 * timeout_factor()) * 1000000000);
}
END_TEST

struct sleeper {
	_Atomic uint32_t word;
	int64_t deadline;
	int parks, timeouts;
};

static void *sleep_long(void *arg)
{
	struct sleeper *sleeper = arg;

	while (mpp_load_seq(&sleeper->word) == 0) {
		sleeper->parks++;
		if (mpp_park(&sleeper->word, 0, sleeper->deadline) == ETIMEDOUT)
			sleeper->timeouts++;
	}
	return NULL;
}

/* More seconds than 32 bits have, and a deadline just before the one that never comes. */
START_TEST(park_sleeps_until_a_far_deadline)
{
	struct sleeper sleeper = {.deadline = _i == 0 ? mpp_now() + (int64_t)3000000000 * 1000000000 : MPP_NEVER - 1};
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_long, &sleeper), 0);
	usleep(100000);                  /* nothing is to happen */
	mpp_store_seq(&sleeper.word, 1);
	mpp_wake_all(&sleeper.word);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(sleeper.timeouts, 0);
	ck_assert_int_lt(sleeper.parks, 10);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------- arithmetic */

START_TEST(chunks_are_cut_as_python_does)
{
	ck_assert_uint_eq(mpp_chunk_default(100, 4), 7);         /* ceil(100 / 16) */
	ck_assert_uint_eq(mpp_chunk_default(16, 4), 1);
	ck_assert_uint_eq(mpp_chunk_default(17, 4), 2);
	ck_assert_uint_eq(mpp_chunk_default(0, 4), 1);
	ck_assert_uint_eq(mpp_chunk_default(SIZE_MAX, 1), SIZE_MAX / 4 + 1);
	ck_assert_uint_eq(mpp_chunk_default(5, SIZE_MAX), 1);
	ck_assert_uint_eq(mpp_chunk_count(SIZE_MAX, SIZE_MAX), 1);
	ck_assert_uint_eq(mpp_chunk_count(7, 3), 3);
	ck_assert_uint_eq(mpp_chunk_count(0, 3), 0);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ queue */

START_TEST(queue_keeps_the_order_over_many_blocks)
{
	enum { N = 5000 };
	static char entries[N];
	struct mpp_queue queue = {0};
	size_t in = 0, out = 0;

	ck_assert_ptr_null(mpp_queue_pop(&queue));
	while (out < N) {                                        /* three in, two out, so that it grows and shrinks */
		for (int i = 0; i < 3 && in < N; i++) {
			if (!mpp_queue_has_room(&queue))
				mpp_queue_supply(&queue, mpp_queue_block_new());
			mpp_queue_push(&queue, &entries[in++]);
		}
		for (int i = 0; i < 2 && out < in; i++) {
			ck_assert_ptr_eq(mpp_queue_peek(&queue), &entries[out]);
			ck_assert_ptr_eq(mpp_queue_pop(&queue), &entries[out++]);
		}
		ck_assert_uint_eq(queue.count, in - out);
	}
	ck_assert_ptr_null(mpp_queue_peek(&queue));
	mpp_queue_fini(&queue);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------ deque */

START_TEST(deque_gives_the_owner_the_newest_and_thieves_the_oldest)
{
	static char entries[1000];
	struct mpp_deque deque;

	mpp_deque_init(&deque);
	ck_assert_ptr_null(mpp_deque_steal(&deque));
	for (int i = 0; i < 1000; i++) {                         /* it grows on the way */
		ck_assert_int_eq(mpp_deque_reserve(&deque, 1), 0);
		mpp_deque_push(&deque, &entries[i]);
	}
	for (int i = 0; i < 500; i++) {
		ck_assert_ptr_eq(mpp_deque_pop(&deque), &entries[999 - i]);
		ck_assert_ptr_eq(mpp_deque_steal(&deque), &entries[i]);
	}
	ck_assert(mpp_deque_is_empty(&deque));
	ck_assert_ptr_null(mpp_deque_pop(&deque));
	mpp_deque_fini(&deque);
}
END_TEST

#define TASKS 200000
static _Atomic unsigned char seen[TASKS];
static struct mpp_deque shared;
static atomic_bool pushed_all;

static void see(const void *entry)
{
	if (entry)
		atomic_fetch_add(&seen[(const _Atomic unsigned char *)entry - seen], 1);
}

static void *thief(void *unused)
{
	bool over;

	do {
		over = atomic_load(&pushed_all);
		see(mpp_deque_steal(&shared));
	} while (!over || !mpp_deque_is_empty(&shared));
	return unused;
}

/* D3, D4: the owner at its end, which is empty most of the time, and two thieves at the other. */
START_TEST(deque_hands_out_each_entry_once_among_thieves)
{
	const int tasks = under_valgrind() ? TASKS / 100 : UNDER_TSAN ? TASKS / 10 : TASKS;
	pthread_t thieves[2];

	mpp_deque_init(&shared);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&thieves[i], NULL, thief, NULL), 0);
	for (int i = 0; i < tasks; i++) {
		ck_assert_int_eq(mpp_deque_reserve(&shared, 1), 0);
		mpp_deque_push(&shared, (void *)(uintptr_t)&seen[i]);
		if (i % 3)
			see(mpp_deque_pop(&shared));
	}
	for (void *entry; (entry = mpp_deque_pop(&shared)) != NULL;)
		see(entry);
	atomic_store(&pushed_all, true);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(thieves[i], NULL), 0);
	for (int i = 0; i < tasks; i++)
		ck_assert_uint_eq(atomic_load(&seen[i]), 1);
	mpp_deque_fini(&shared);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- blocks */

static void *free_blocks(void *arg)
{
	void **blocks = arg;

	for (size_t i = 0; i < 3000; i++)
		mpp_block_free(blocks[i], i % 700 + 1);
	return NULL;
}

/* Blocks of all sizes, born here and freed in another thread, are whole and apart from each other. */
START_TEST(blocks_may_die_in_another_thread)
{
	static void *blocks[3000];

	for (int round = 0; round < 5; round++) {
		pthread_t other;

		for (size_t i = 0; i < 3000; i++) {
			blocks[i] = mpp_block_alloc(i % 700 + 1);
			ck_assert_ptr_nonnull(blocks[i]);
			memset(blocks[i], (int)(i % 251), i % 700 + 1);
		}
		for (size_t i = 0; i < 3000; i++) {
			size_t wrong = 0;        /* Check takes its time over each of its assertions */
			for (size_t k = 0; k < i % 700 + 1; k++)
				wrong += ((unsigned char *)blocks[i])[k] != i % 251;
			ck_assert_uint_eq(wrong, 0);
		}
		ck_assert_int_eq(pthread_create(&other, NULL, free_blocks, blocks), 0);
		ck_assert_int_eq(pthread_join(other, NULL), 0);
	}
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- hints */

struct looks {
	mppool *pool;
	struct recorder higher;          /* bits that would make a participant of the map leave */
};

static int look_call(const void *const args[], void *result, void *context)
{
	struct looks *const looks = context;

	(void)result;
	if (int_arg(args, 0) == 1)
		pthread_exit(NULL);
	if (int_arg(args, 0) > 1)
		record(&looks->higher, (int)(mpp_peek(&looks->pool->runq.waiting) >> (MPP_LEVELS * MPP_NORMAL + MPP_ARRAYS + 1)));
	return 0;
}

/* A map of which a lost worker gave something back is on the list of its level. It counts as no higher level for that: or
 * its participants would leave after each chunk to make room for it. */
START_TEST(listed_map_does_not_go_before_its_own_participants)
{
	const int xs[6] = {0, 1, 2, 3, 4, 5};
	struct looks looks = {.pool = pool_of(1)};
	const struct mppool_func func = make_func(look_call, 1, 0, &looks);

	recorder_init(&looks.higher);
	assert_code(mppool_map(looks.pool, &func, MPPOOL_ARRAY(xs, 6), NULL, 3), MPPOOL_ETASK);
	ck_assert_uint_eq(recorded_count(&looks.higher), 4);
	ck_assert_uint_eq(recorded_times(&looks.higher, 0), 4);
	pool_finish(looks.pool);
	recorder_destroy(&looks.higher);
}
END_TEST

/* Who tells of a job's end wakes the sleepers on its word, and one of those who wait may have freed it by then. */
START_TEST(word_that_is_gone_may_be_woken)
{
	void *const page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_Atomic uint32_t *const word = page;

	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(munmap(page, 1), 0);
	mpp_wake_one(word);
	mpp_wake_all(word);
}
END_TEST

/* ----------------------------------------------------------------------------------------------------------- hints */

/* What is looked at without the lock says so when nothing is left, after calls of every kind. */
START_TEST(nothing_waits_in_an_idle_pool)
{
	const int xs[] = {1, 2, 3, 4, 5, 6, 7, 8};
	int y;
	mppool_iter *iter = NULL;
	mppool *const pool = pool_of(2);
	const struct mppool_func func = make_func(square_call, 1, sizeof(int), NULL);

	for (int priority = -1; priority <= 1; priority++) {
		assert_ok(mppool_apply_async(pool, &func, MPPOOL_ARGS(&xs[1]), MPPOOL_CALL(.priority = priority), NULL));
		assert_ok(mppool_map_async(pool, &func, MPPOOL_ARRAY(xs, 8), NULL, 1, MPPOOL_CALL(.priority = priority),
		                           NULL));
		assert_ok(mppool_imap(pool, &func, MPPOOL_ARRAY(xs, 8), 1, 2, MPPOOL_CALL(.priority = priority), &iter));
		while (mppool_iter_next(iter, &y, NULL, MPPOOL_FOREVER) == 0)
			;
		mppool_iter_free(iter);
		assert_ok(mppool_wait_idle(pool, MPPOOL_FOREVER));
		ck_assert_uint_eq(mpp_peek(&pool->runq.waiting), 0);
		ck_assert_uint_eq(mpp_runq_count(&pool->runq), 0);
	}
	pool_finish(pool);
}
END_TEST

static void fill(Suite *suite)
{
	TCase *tcase = add_case(suite, "cpu");

	tcase_add_test(tcase, quota_of_cgroup_v2_is_rounded_up);
	tcase_add_test(tcase, quota_of_a_parent_counts);
	tcase_add_test(tcase, quota_of_cgroup_v1_comes_from_the_cpu_controller);
	tcase_add_test(tcase, quota_of_long_paths);
	tcase_add_test(tcase, quota_without_or_with_odd_files_is_none);
	tcase_add_test(tcase, estimate_follows_the_affinity);
	tcase = add_case(suite, "park");
	tcase_add_test(tcase, park_lasts_until_its_deadline);
	tcase_add_loop_test(tcase, park_sleeps_until_a_far_deadline, 0, 2);
	tcase_add_test(tcase, word_that_is_gone_may_be_woken);
	tcase = add_case(suite, "parts");
	tcase_add_test(tcase, chunks_are_cut_as_python_does);
	tcase_add_test(tcase, queue_keeps_the_order_over_many_blocks);
	tcase_add_test(tcase, deque_gives_the_owner_the_newest_and_thieves_the_oldest);
	tcase_add_test(tcase, deque_hands_out_each_entry_once_among_thieves);
	tcase_add_test(tcase, blocks_may_die_in_another_thread);
	tcase_add_test(tcase, listed_map_does_not_go_before_its_own_participants);
	tcase_add_test(tcase, nothing_waits_in_an_idle_pool);
}

int main(int argc, char **argv)
{
	return run_suite("parts", fill, argc, argv);
}
