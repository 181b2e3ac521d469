/* cplusplus.cc - mppool.hpp at work: callables of every kind, values, exceptions, ranges
 *
 * SPDX-License-Identifier: MIT
 *
 * check-header.sh compiles this file by every standard of C++ that the compilers know, with warnings as errors, and
 * runs it. Where it fails it returns with 1 after it has named the line. */
#include <mppool.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

static int failures;

#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                           \
			failures++;                                                                                    \
		}                                                                                                      \
	} while (0)

/* Counts its objects, so that a leak and a second end show. */
struct counted {
	static std::atomic<int> alive;
	int n;
	explicit counted(int x) : n(x) { alive++; }
	counted(const counted &other) : n(other.n) { alive++; }
	counted(counted &&other) noexcept : n(other.n) { alive++; }
	counted &operator=(const counted &) = default;
	~counted() { alive--; }
};
std::atomic<int> counted::alive(0);

static int plain(int x) { return 3 * x; }

struct scaled {
	int factor;
	int operator()(int x) const { return factor * x; }
	int method(int x) const { return factor + x; }
};

static void callables(mpp::pool &pool)
{
	const scaled five = {5};
	int by = 10, seen = 0;

	EXPECT(pool.apply(plain, 7) == 21);
	EXPECT(pool.apply(&plain, 7) == 21);
	EXPECT(pool.apply([by](int x) { return x + by; }, 1) == 11);
	EXPECT(pool.apply(five, 4) == 20);
	EXPECT(pool.apply(&scaled::method, five, 4) == 9);
	EXPECT(pool.apply(&scaled::method, &five, 4) == 9);
	EXPECT(pool.apply(&scaled::factor, five) == 5);
	EXPECT(pool.apply([](const std::string &a, const char *b) { return a + b; }, "one ", "two") == "one two");
	pool.apply([&seen] { seen = 1; });
	pool.apply([](int &x) { x++; }, std::ref(seen));
	EXPECT(seen == 2);
}

static void results_own_what_they_have(mpp::pool &pool)
{
	std::unique_ptr<int> in(new int(6));
	auto moved = pool.apply_async([](std::unique_ptr<int> p) {
		*p *= 7;
		return p;
	}, std::move(in));
	EXPECT(!in && *moved.get() == 42);
	bool refused = false;
	try {
		moved.get();
	} catch (const mpp::error &e) {
		refused = e.code() == EINVAL;
	}
	EXPECT(refused);
	{
		auto kept = pool.apply_async([](const counted &c) { return counted(c.n + 1); }, counted(1));
		auto other = std::move(kept);
		EXPECT(other.wait() && other.ready());
		EXPECT(other.get().n == 2);
		pool.apply_async([](const counted &c) { return c; }, counted(3));
	}
	pool.wait_idle();
	EXPECT(counted::alive == 0);
}

static void exceptions_reach_get(mpp::pool &pool)
{
	std::string said;
	std::vector<int> xs = {1, 2, 3, 4};

	try {
		pool.apply([](int x) -> int { throw std::out_of_range("no " + std::to_string(x)); }, 9);
	} catch (const std::out_of_range &e) {
		said = e.what();
	}
	EXPECT(said == "no 9");
	int caught = 0;
	try {
		pool.apply([] { throw 77; });
	} catch (int n) {
		caught = n;
	}
	EXPECT(caught == 77);
	try {
		pool.map([](int x) { return x < 3 ? x : throw std::runtime_error(std::to_string(x)); }, xs, 1);
	} catch (const std::runtime_error &e) {
		said = e.what();
	}
	EXPECT(said == "3");
	/* A task that failed by a code has no exception of its own. */
	int reason = 0;
	try {
		pool.apply([] { mppool_raise(EDOM, "by hand"); throw mpp::error(MPPOOL_ETASK, EDOM, 0, "by hand"); });
	} catch (const mpp::error &e) {
		reason = e.reason();
		said = e.what();
	}
	EXPECT(reason == EDOM && said == "by hand");
}

static void maps(mpp::pool &pool)
{
	std::vector<int> xs = {1, 2, 3, 4, 5};
	const std::list<std::string> texts = {"a", "bb", "ccc"};
	const std::array<int, 3> fixed = {{7, 8, 9}};
	int raw[] = {1, 2, 3};
	std::vector<std::pair<int, double>> pairs = {{1, 0.5}, {2, 0.25}};

	const std::vector<int> ys = pool.map([](int x) { return x * x; }, xs);
	EXPECT(ys.size() == 5 && ys[0] == 1 && ys[4] == 25);
	EXPECT(pool.map(plain, fixed, 1)[2] == 27);
	EXPECT(pool.map(plain, raw)[2] == 9);
	EXPECT(pool.map([](const std::string &s) { return s.size(); }, texts)[2] == 3);
	pool.map([](int &x) { x = -x; }, xs);    /* in place */
	EXPECT(xs[0] == -1 && xs[4] == -5);
	EXPECT(pool.map(plain, std::vector<int>()).empty());
	EXPECT(pool.map([](int x) { return x > 1; }, raw)[0] == false);
	EXPECT(pool.map([](int x) { return std::unique_ptr<int>(new int(x)); }, raw).size() == 3);
	EXPECT(pool.starmap([](int a, double b) { return a + b; }, pairs)[1] > 2.2);
	auto later = pool.map_async([](int x) { return counted(x); }, std::vector<int>{1, 2, 3}, 1);
	EXPECT(later.get()[2].n == 3);
	auto dropped = pool.map_async([](int x) { return counted(x); }, std::vector<int>{1, 2, 3}, 1,
	                              mpp::call().priority(1));
	EXPECT(dropped.wait());
}

/* 0, 1, 2 ... without an end: an input iterator that gives values. */
struct naturals {
	struct iterator {
		using iterator_category = std::input_iterator_tag;
		using value_type = int;
		using difference_type = std::ptrdiff_t;
		using pointer = const int *;
		using reference = int;
		int at;
		int operator*() const { return at; }
		iterator &operator++() { return at++, *this; }
		bool operator==(const iterator &) const { return false; }
	};
	iterator begin() const { return iterator{0}; }
	iterator end() const { return iterator{0}; }
};

struct breaks {
	struct iterator {
		using iterator_category = std::input_iterator_tag;
		using value_type = int;
		using difference_type = std::ptrdiff_t;
		using pointer = const int *;
		using reference = int;
		int at;
		int operator*() const { return at < 3 ? at : throw std::length_error("three"); }
		iterator &operator++() { return at++, *this; }
		bool operator==(const iterator &) const { return false; }
	};
	iterator begin() const { return iterator{0}; }
	iterator end() const { return iterator{0}; }
};

static void streams(mpp::pool &pool)
{
	const std::vector<std::string> texts = {"a", "bb", "ccc"};
	std::string all;
	std::vector<int> good;
	int sum = 0, failed = 0, seen = 0;

	for (std::string &text : pool.imap([](const std::string &s) { return s + "!"; }, texts))
		all += text;
	EXPECT(all == "a!bb!ccc!");
	for (int y : pool.imap_unordered(plain, std::vector<int>{1, 2, 3}))
		sum += y;
	EXPECT(sum == 18);
	for (std::unique_ptr<int> &p :
	     pool.imap([](int x) { return std::unique_ptr<int>(new int(x)); }, naturals(), 1, 8))
		if (*p == 20)
			break;
	auto some = pool.imap([](int x) { return x % 2 ? x : throw std::domain_error("even"); },
	                      std::vector<int>{1, 2, 3, 4});
	while (some.next())
		try {
			good.push_back(some.value());
		} catch (const std::domain_error &) {
			failed++;
			EXPECT(some.failed() && some.index() % 2 == 1);
		}
	EXPECT(good.size() == 2 && good[1] == 3 && failed == 2);
	{
		auto left = pool.imap([](const counted &c) { return counted(c.n); },
		                      std::vector<counted>{counted(1), counted(2), counted(3)});
		EXPECT(left.next() && left.value().n == 1);
	}
	EXPECT(counted::alive == 0);
	auto broken = pool.imap(plain, breaks());
	bool told = false;
	try {
		while (broken.next())
			seen++;
	} catch (const std::length_error &) {
		told = true;
	}
	EXPECT(told && seen == 3);
	for (auto &unused : pool.imap([](int) {}, std::vector<int>{1, 2}))
		(void)unused, seen++;
	EXPECT(seen == 5);
}

static int initialized(void *arg, void **) { return ++*static_cast<std::atomic<int> *>(arg), 0; }

static void options_and_states()
{
	std::atomic<int> calls(0);
	mpp::pool made(mpp::options().workers(2).initializer(initialized).initarg(&calls).name("cxx"));
	mpp::pool other(std::move(made));
	mppool *c_pool = nullptr;

	EXPECT(calls == 2 && !made.native());
	EXPECT(mppool_create(mpp::options().workers(1), &c_pool) == 0 && mppool_destroy(c_pool) == 0);
	bool refused = false;
	try {
		mpp::pool none(mpp::options().workers(-1));
	} catch (const mpp::error &e) {
		refused = e.code() == EINVAL;
	}
	EXPECT(refused);
	bool running = false;
	try {
		other.join();
	} catch (const mpp::error &e) {
		running = e.code() == MPPOOL_ERUNNING;
	}
	EXPECT(running);
	other.close();
	bool closed = false;
	try {
		other.apply(plain, 1);
	} catch (const mpp::error &e) {
		closed = e.code() == MPPOOL_ECLOSED;
	}
	EXPECT(closed);
	other.join();
}

int main()
{
	{
		mpp::pool pool(2);
		callables(pool);
		results_own_what_they_have(pool);
		exceptions_reach_get(pool);
		maps(pool);
		streams(pool);
	}
	EXPECT(counted::alive == 0);
	options_and_states();
	return failures > 0;
}
