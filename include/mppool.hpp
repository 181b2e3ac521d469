/* mppool.hpp - any callable of C++ as a task: a header-only layer over mppool.h
 *
 * SPDX-License-Identifier: MIT
 *
 * The page is mppool_cplusplus(7). For C++11 and later. Everything is in the namespace mpp; what is in mpp::detail is
 * private.
 *
 * Who owns what: a call keeps its callable, its arguments and its results in one object, which the handle and the
 * call's context share. The context's share is given back by the hook `release`, the last that the library calls for
 * an accepted call; a call that was refused calls no hook, and gives it back at once. */
#ifndef MPPOOL_HPP
#define MPPOOL_HPP

#include "mppool.h"

#ifndef __cplusplus
#error "mppool.hpp is for C++; in C include <mppool.h>"
#endif

#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace mpp {

/* ---------------------------------------------------------------------------------------------------------- errors */

/* A call of the library failed, or an item did so without an exception: because of a time limit, a cancel, an end. */
class error : public std::runtime_error {
public:
	error(int code, int reason, std::size_t index, const std::string &message)
		: std::runtime_error(message), code_(code), reason_(reason), index_(index)
	{
	}
	int code() const { return code_; }               /* an errno value or one of enum mppool_code */
	int reason() const { return reason_; }           /* of MPPOOL_ETASK, _EITER, _EBROKEN: what failed there */
	std::size_t index() const { return index_; }     /* and the item, or the worker */

private:
	int code_;
	int reason_;
	std::size_t index_;
};

namespace detail {

inline error error_of(int code)
{
	if (code == MPPOOL_ETASK || code == MPPOOL_EITER || code == MPPOOL_EBROKEN) {
		const mppool_error *last = mppool_last_error();
		return error(code, last->code, last->index, last->message);
	}
	return error(code, code, 0, mppool_strerror(code));
}

inline void check(int code)
{
	if (code != 0)
		throw error_of(code);
}

/* --------------------------------------------------------------------------------------------------------- calling */

template <std::size_t... I> struct indexes {};
template <std::size_t N, std::size_t... I> struct make_indexes : make_indexes<N - 1, N - 1, I...> {};
template <std::size_t... I> struct make_indexes<0, I...> {
	using type = indexes<I...>;
};

/* std::invoke of C++17, by a name that is none of the standard's: methods and members are called by an object, a
 * pointer to it or a reference. */
template <typename F, typename... A, typename = typename std::enable_if<!std::is_member_pointer<
					     typename std::decay<F>::type>::value>::type>
auto invoke_(F &&f, A &&...args) -> decltype(std::forward<F>(f)(std::forward<A>(args)...))
{
	return std::forward<F>(f)(std::forward<A>(args)...);
}
template <typename M, typename T, typename... A>
auto invoke_(M T::*member, A &&...args) -> decltype(std::mem_fn(member)(std::forward<A>(args)...))
{
	return std::mem_fn(member)(std::forward<A>(args)...);
}

template <typename F, typename Tuple, std::size_t... I>
auto apply_(F &f, Tuple &&args, indexes<I...>) -> decltype(invoke_(f, std::get<I>(std::forward<Tuple>(args))...))
{
	return invoke_(f, std::get<I>(std::forward<Tuple>(args))...);
}
template <typename Tuple> using indexes_of =
	typename make_indexes<std::tuple_size<typename std::decay<Tuple>::type>::value>::type;

/* For starmap: one tuple instead of the arguments. */
template <typename F> struct starred {
	F f;
	template <typename Tuple>
	auto operator()(Tuple &&args) -> decltype(apply_(f, std::forward<Tuple>(args), indexes_of<Tuple>()))
	{
		return apply_(f, std::forward<Tuple>(args), indexes_of<Tuple>());
	}
};

template <typename F, typename... A> using result_of =
	typename std::decay<decltype(invoke_(std::declval<F &>(), std::declval<A>()...))>::type;

struct nothing {};
template <typename R> using stored = typename std::conditional<std::is_void<R>::value, nothing, R>::type;

template <typename R, typename F> struct maker {
	static R make(F &&run) { return run(); }
};
template <typename F> struct maker<void, F> {
	static nothing make(F &&run)
	{
		run();
		return nothing();
	}
};

/* The unwinding of pthread_exit() and of a cancelled thread must go on; it is no exception of a task. */
#ifdef __GLIBCXX__
#define MPP_LET_THREADS_END_ catch (abi::__forced_unwind &) { throw; }
#else
#define MPP_LET_THREADS_END_
#endif

/* Runs it, and turns an exception into a code and a message; `caught` keeps the exception itself. */
template <typename Run> int guarded(Run &&run, std::exception_ptr &caught)
{
	try {
		run();
		return 0;
	}
	MPP_LET_THREADS_END_
	catch (const error &e) {
		caught = std::current_exception();
		return mppool_raise_message(e.reason(), e.what());
	}
	catch (const std::exception &e) {
		caught = std::current_exception();
		return mppool_raise_message(MPPOOL_ETASK, e.what());
	}
	catch (...) {
		caught = std::current_exception();
		return mppool_raise_message(MPPOOL_ETASK, "an exception that is no std::exception");
	}
}
#undef MPP_LET_THREADS_END_

/* ------------------------------------------------------------------------------------ what handles and calls share */

/* The place for one result: of any type that can be moved, made when it is there. */
template <typename R> class slot {
public:
	slot() {}
	slot(const slot &) = delete;
	slot &operator=(const slot &) = delete;

	template <typename Run> int run(Run &&run)
	{
		return guarded([&] { value_.reset(new stored<R>(maker<R, Run &>::make(run))); }, caught_);
	}
	R take()
	{
		if (!value_)
			throw error(EINVAL, EINVAL, 0, "the result has been taken");
		std::unique_ptr<stored<R>> value = std::move(value_);
		return static_cast<R>(std::move(*value));
	}
	const std::exception_ptr &caught() const { return caught_; }

private:
	std::unique_ptr<stored<R>> value_;
	std::exception_ptr caught_;
};
template <> inline void slot<void>::take() {}

/* n items: a single call has one. */
template <typename R> class job {
public:
	explicit job(std::size_t n) : slots(n > 0 ? new slot<R>[n] : nullptr), length(n) {}
	virtual ~job() {}
	virtual int run(std::size_t i) = 0;

	std::unique_ptr<slot<R>[]> slots;
	std::size_t length;
};

template <typename R, typename F, typename... A> class single : public job<R> {
public:
	template <typename G, typename... B>
	explicit single(G &&f, B &&...args) : job<R>(1), f_(std::forward<G>(f)), args_(std::forward<B>(args)...)
	{
	}
	int run(std::size_t) override
	{
		return this->slots[0].run([&]() -> R {
			return static_cast<R>(apply_(f_, std::move(args_), indexes_of<std::tuple<A...>>()));
		});
	}

private:
	F f_;
	std::tuple<A...> args_;
};

template <typename C> using iterator_of = decltype(std::begin(std::declval<C &>()));
template <typename C> using element_of = decltype(*std::begin(std::declval<C &>()));
template <typename F, typename C> using mapped = result_of<typename std::decay<F>::type, element_of<C>>;
template <typename F, typename C> using streamed =
	result_of<typename std::decay<F>::type, typename std::decay<element_of<C>>::type>;

/* C is a container of its own, or a reference to one that is lent. */
template <typename R, typename F, typename C> class many : public job<R> {
public:
	using category = typename std::iterator_traits<iterator_of<C>>::iterator_category;
	using random = std::is_base_of<std::random_access_iterator_tag, category>;

	template <typename G, typename D>
	many(G &&f, D &&items, std::size_t n)
		: job<R>(n), f_(std::forward<G>(f)), items_(std::forward<D>(items)), first_(std::begin(items_))
	{
		if (!random::value)
			for (iterator_of<C> at = first_; n > 0; ++at, n--)
				places_.push_back(at);
	}
	int run(std::size_t i) override
	{
		return this->slots[i].run([&]() -> R { return static_cast<R>(invoke_(f_, *at(i, random()))); });
	}

private:
	iterator_of<C> at(std::size_t i, std::true_type) const
	{
		return first_ + static_cast<typename std::iterator_traits<iterator_of<C>>::difference_type>(i);
	}
	iterator_of<C> at(std::size_t i, std::false_type) const { return places_[i]; }

	F f_;
	C items_;
	iterator_of<C> first_;
	std::vector<iterator_of<C>> places_;
};

template <typename T> void release(void *context) { delete static_cast<std::shared_ptr<T> *>(context); }

template <typename R> int run_item(const void *const *, void *, void *context)
{
	return (*static_cast<std::shared_ptr<job<R>> *>(context))->run(mppool_item_index());
}

template <typename R> int run_chunk(const mppool_chunk *chunk, void *context)
{
	job<R> &all = **static_cast<std::shared_ptr<job<R>> *>(context);

	for (std::size_t i = 0; i < chunk->count; i++) {
		const int code = all.run(chunk->first + i);
		if (code != 0) {
			*chunk->failed = i;
			return code;
		}
	}
	return 0;
}

/* Submits the items of a job; the call has a share in it until `release`. */
template <typename R>
mppool_result *submit(mppool *pool, const std::shared_ptr<job<R>> &all, std::size_t chunksize,
                      const mppool_call_options *options)
{
	std::unique_ptr<std::shared_ptr<job<R>>> context(new std::shared_ptr<job<R>>(all));
	mppool_func func = MPPOOL_FUNC_INIT;
	mppool_iterable items = MPPOOL_ITERABLE_INIT;
	mppool_result *result = nullptr;

	func.call = run_item<R>;
	func.chunk_call = run_chunk<R>;
	func.context = context.get();
	func.release = release<job<R>>;
	func.name = "a callable";
	items.length = all->length;
	check(mppool_starmap_async(pool, &func, &items, nullptr, chunksize, options, &result));
	context.release();
	return result;
}

template <typename R> mppool_result *submit_one(mppool *pool, const std::shared_ptr<job<R>> &one,
                                                const mppool_call_options *options)
{
	std::unique_ptr<std::shared_ptr<job<R>>> context(new std::shared_ptr<job<R>>(one));
	mppool_func func = MPPOOL_FUNC_INIT;
	mppool_result *result = nullptr;

	func.call = run_item<R>;
	func.context = context.get();
	func.release = release<job<R>>;
	func.name = "a callable";
	check(mppool_apply_async(pool, &func, nullptr, options, &result));
	context.release();
	return result;
}

/* What the two kinds of results have in common: the handle, and the share in the job. */
template <typename R> class handle {
public:
	handle(mppool_result *result, std::shared_ptr<job<R>> all) : result_(result), all_(std::move(all)) {}
	handle(handle &&other) noexcept : result_(other.result_), all_(std::move(other.all_))
	{
		other.result_ = nullptr;
	}
	handle &operator=(handle &&other) noexcept
	{
		std::swap(result_, other.result_);
		std::swap(all_, other.all_);
		return *this;
	}
	~handle() { mppool_result_free(result_); }

	bool ready() const { return mppool_result_ready(result_) != 0; }
	/* True when it is ready, false when the time is over. */
	bool wait(double timeout = MPPOOL_FOREVER) const
	{
		const int code = mppool_result_wait(result_, timeout);
		if (code != 0 && code != ETIMEDOUT)
			throw error_of(code);
		return code == 0;
	}
	/* False if all items had started. */
	bool cancel() { return mppool_result_cancel(result_) == 0; }
	mppool_result *native() const { return result_; }

protected:
	void outcome(double timeout)
	{
		const int code = mppool_result_get(result_, nullptr, timeout);

		if (code == 0)
			return;
		const error why = error_of(code);
		if (code == MPPOOL_ETASK && why.index() < all_->length && all_->slots[why.index()].caught())
			std::rethrow_exception(all_->slots[why.index()].caught());
		throw why;
	}

	mppool_result *result_;
	std::shared_ptr<job<R>> all_;
};

template <typename R> struct gathered {
	using type = std::vector<R>;
	static type take(job<R> &all)
	{
		type results;
		results.reserve(all.length);
		for (std::size_t i = 0; i < all.length; i++)
			results.push_back(all.slots[i].take());
		return results;
	}
};
template <> struct gathered<void> {
	using type = void;
	static void take(job<void> &) {}
};

/* --------------------------------------------------------------------------------------------------------- streams */

template <typename R> class stream {
public:
	virtual ~stream() {}
	virtual int next(void **ret_item) = 0;
	virtual int run(void *item, stored<R> **ret_result, std::size_t index) = 0;
	virtual void drop(void *item) = 0;

	void keep(std::size_t index, const std::exception_ptr &caught)
	{
		std::lock_guard<std::mutex> hold(lock);
		failures[index] = caught;
	}
	std::exception_ptr failure(std::size_t index)
	{
		std::lock_guard<std::mutex> hold(lock);
		auto at = failures.find(index);
		if (at == failures.end())
			return nullptr;
		std::exception_ptr caught = at->second;
		failures.erase(at);
		return caught;
	}

	std::mutex lock;                         /* of failures */
	std::map<std::size_t, std::exception_ptr> failures;      /* of items that nobody has taken yet */
	std::exception_ptr ended_by;             /* written by the generator's last call, read after MPPOOL_EITER */
};

/* The range is walked by one thread at a time; an item is copied, or moved out of a range that gives values. */
template <typename R, typename F, typename C> class stream_of : public stream<R> {
public:
	using item = typename std::decay<element_of<C>>::type;

	template <typename G, typename D>
	stream_of(G &&f, D &&items) : f_(std::forward<G>(f)), items_(std::forward<D>(items)), started_(false)
	{
	}
	int next(void **ret_item) override
	{
		bool over = false;
		const int code = guarded([&] {
			if (!started_)
				at_.reset(new iterator_of<C>(std::begin(items_)));
			else
				++*at_;
			started_ = true;
			over = *at_ == std::end(items_);
			if (!over)
				*ret_item = new item(**at_);
		}, this->ended_by);
		return code != 0 ? code : over ? static_cast<int>(MPPOOL_ESTOP) : 0;
	}
	int run(void *data, stored<R> **ret_result, std::size_t index) override
	{
		std::exception_ptr caught;
		auto call = [&]() -> R { return static_cast<R>(invoke_(f_, std::move(*static_cast<item *>(data)))); };
		const int code = guarded([&] {
			*ret_result = new stored<R>(maker<R, decltype(call) &>::make(call));
		}, caught);
		if (code != 0)
			this->keep(index, caught);
		return code;
	}
	void drop(void *data) override { delete static_cast<item *>(data); }

private:
	F f_;
	C items_;
	std::unique_ptr<iterator_of<C>> at_;
	bool started_;
};

template <typename R> stream<R> &stream_in(void *context)
{
	return **static_cast<std::shared_ptr<stream<R>> *>(context);
}
template <typename R> int stream_next(void *const *args, void *state)
{
	return stream_in<R>(state).next(static_cast<void **>(args[0]));
}
template <typename R> int stream_run(const void *const *args, void *result, void *context)
{
	return stream_in<R>(context).run(*static_cast<void *const *>(args[0]), static_cast<stored<R> **>(result),
	                                 mppool_item_index());
}
template <typename R> void stream_drop_args(const void *const *args, void *context)
{
	stream_in<R>(context).drop(*static_cast<void *const *>(args[0]));
}
template <typename R> void stream_drop_result(void *result, void *) { delete *static_cast<stored<R> **>(result); }

} /* namespace detail */

/* --------------------------------------------------------------------------------------------------------- options */

/* Options without designated initialisers: mpp::options().workers(4).max_tasks_per_worker(10), for mpp::pool and, as
 * they become a pointer, for mppool_create() too. */
class options {
public:
	options() : o_(mppool_options MPPOOL_OPTIONS_INIT) {}
	options &workers(int workers) { return o_.workers = workers, *this; }
	options &callback_mode(int mode) { return o_.callback_mode = mode, *this; }
	options &initializer(int (*f)(void *, void **)) { return o_.initializer = f, *this; }
	options &finalizer(void (*f)(void *, void *)) { return o_.finalizer = f, *this; }
	options &initarg(void *arg) { return o_.initarg = arg, *this; }
	options &max_tasks_per_worker(std::size_t n) { return o_.max_tasks_per_worker = n, *this; }
	options &queue_limit(std::size_t n) { return o_.queue_limit = n, *this; }
	options &stack_size(std::size_t bytes) { return o_.stack_size = bytes, *this; }
	options &name(const char *name) { return o_.name = name, *this; }
	options &trace(const char *file) { return o_.trace = file, *this; }
	options &flags(unsigned flags) { return o_.flags = flags, *this; }
	options &cpus(const int *cpus, std::size_t n) { return o_.cpus = cpus, o_.ncpus = n, *this; }
	operator const mppool_options *() const { return &o_; }

private:
	mppool_options o_;
};

/* The same for calls: pool.apply_async(mpp::call().priority(1), f, 7). */
class call {
public:
	call() : o_(mppool_call_options MPPOOL_CALL_OPTIONS_INIT) {}
	call &task_timeout(double seconds) { return o_.task_timeout = seconds, *this; }
	call &submit_timeout(double seconds) { return o_.submit_timeout = seconds, *this; }
	call &priority(int priority) { return o_.priority = priority, *this; }
	call &codes(int *codes) { return o_.codes = codes, *this; }
	call &userdata(void *userdata) { return o_.userdata = userdata, *this; }
	call &callback(void (*f)(const void *, std::size_t, void *)) { return o_.callback = f, *this; }
	call &error_callback(void (*f)(const mppool_error *, void *)) { return o_.error_callback = f, *this; }
	call &flags(unsigned flags) { return o_.flags = flags, *this; }
	operator const mppool_call_options *() const { return &o_; }

private:
	mppool_call_options o_;
};

/* --------------------------------------------------------------------------------------------------------- results */

/* Of one call: get() returns its value, once, or throws what the task threw. */
template <typename R> class result : public detail::handle<R> {
public:
	using detail::handle<R>::handle;
	R get(double timeout = MPPOOL_FOREVER)
	{
		this->outcome(timeout);
		return this->all_->slots[0].take();
	}
};

/* Of a map: get() returns a vector of the values, or throws what the first item threw that failed. */
template <typename R> class results : public detail::handle<R> {
public:
	using detail::handle<R>::handle;
	typename detail::gathered<R>::type get(double timeout = MPPOOL_FOREVER)
	{
		this->outcome(timeout);
		return detail::gathered<R>::take(*this->all_);
	}
};

/* Of imap: a range, which is walked once. *it throws what the task threw for this item; the others are not
 * affected. */
template <typename R> class stream {
public:
	stream(mppool_iter *iter, std::shared_ptr<detail::stream<R>> shared)
		: iter_(iter), shared_(std::move(shared)), index_(0)
	{
	}
	stream(stream &&other) noexcept
		: iter_(other.iter_), shared_(std::move(other.shared_)), value_(std::move(other.value_)),
		  caught_(std::move(other.caught_)), index_(other.index_)
	{
		other.iter_ = nullptr;
	}
	~stream() { mppool_iter_free(iter_); }

	/* The next item: false when there are no more. Throws what the range threw, and mpp::error, with the code
	 * ETIMEDOUT when the time is over. */
	bool next(double timeout = MPPOOL_FOREVER)
	{
		void *made = nullptr;
		const int code = mppool_iter_next(iter_, &made, &index_, timeout);

		value_.reset(static_cast<detail::stored<R> *>(made));
		caught_ = nullptr;
		if (code == MPPOOL_ESTOP)
			return false;
		if (code == MPPOOL_ETASK) {
			const error why = detail::error_of(code);
			caught_ = shared_->failure(index_);
			if (!caught_)
				caught_ = std::make_exception_ptr(why);
		} else if (code == MPPOOL_EITER && shared_->ended_by) {
			std::rethrow_exception(shared_->ended_by);
		} else {
			detail::check(code);
		}
		return true;
	}
	detail::stored<R> &value()
	{
		if (caught_)
			std::rethrow_exception(caught_);
		if (!value_)
			throw error(EINVAL, EINVAL, 0, "there is no item: next() comes first");
		return *value_;
	}
	bool failed() const { return caught_ != nullptr; }
	std::size_t index() const { return index_; }     /* place in the input */
	void cancel() { mppool_iter_cancel(iter_); }
	mppool_iter *native() const { return iter_; }

	class iterator {
	public:
		using iterator_category = std::input_iterator_tag;
		using value_type = detail::stored<R>;
		using difference_type = std::ptrdiff_t;
		using pointer = value_type *;
		using reference = value_type &;

		explicit iterator(stream *of) : of_(of) {}
		reference operator*() const { return of_->value(); }
		pointer operator->() const { return &of_->value(); }
		iterator &operator++()
		{
			if (!of_->next())
				of_ = nullptr;
			return *this;
		}
		void operator++(int) { ++*this; }
		bool operator==(const iterator &other) const { return of_ == other.of_; }
		bool operator!=(const iterator &other) const { return of_ != other.of_; }

	private:
		stream *of_;
	};
	iterator begin() { return iterator(next() ? this : nullptr); }
	iterator end() { return iterator(nullptr); }

private:
	mppool_iter *iter_;
	std::shared_ptr<detail::stream<R>> shared_;
	std::unique_ptr<detail::stored<R>> value_;
	std::exception_ptr caught_;
	std::size_t index_;
};

/* ------------------------------------------------------------------------------------------------------------ pool */

/* As Python's `with Pool(4) as pool`: the end of its life terminates it, and waits for what runs. */
class pool {
public:
	explicit pool(int workers = 0) : pool_(nullptr)
	{
		detail::check(mppool_create(options().workers(workers), &pool_));
	}
	explicit pool(const mppool_options *options) : pool_(nullptr)
	{
		detail::check(mppool_create(options, &pool_));
	}
	pool(pool &&other) noexcept : pool_(other.pool_) { other.pool_ = nullptr; }
	pool &operator=(pool &&other) noexcept
	{
		std::swap(pool_, other.pool_);
		return *this;
	}
	~pool()
	{
		if (pool_) {
			mppool_terminate(pool_);
			mppool_destroy(pool_);
		}
	}
	mppool *native() const { return pool_; }

	void close() { detail::check(mppool_close(pool_)); }
	void terminate() { detail::check(mppool_terminate(pool_)); }
	void join(double timeout = MPPOOL_FOREVER) { detail::check(mppool_join(pool_, timeout)); }
	void wait_idle(double timeout = MPPOOL_FOREVER) { detail::check(mppool_wait_idle(pool_, timeout)); }
	void resize(int workers) { detail::check(mppool_resize(pool_, workers)); }

	/* f(args...) in a worker. f and the arguments are kept as copies, or moved; std::ref() keeps a reference. */
	template <typename F, typename... A>
	auto apply_async(const call &options, F &&f, A &&...args)
		-> result<detail::result_of<typename std::decay<F>::type, typename std::decay<A>::type...>>
	{
		using R = detail::result_of<typename std::decay<F>::type, typename std::decay<A>::type...>;
		using J = detail::single<R, typename std::decay<F>::type, typename std::decay<A>::type...>;
		std::shared_ptr<detail::job<R>> one =
			std::make_shared<J>(std::forward<F>(f), std::forward<A>(args)...);
		mppool_result *made = detail::submit_one<R>(pool_, one, options);
		return result<R>(made, std::move(one));
	}
	template <typename F, typename... A,
	          typename = typename std::enable_if<!std::is_same<typename std::decay<F>::type, call>::value>::type>
	auto apply_async(F &&f, A &&...args)
		-> result<detail::result_of<typename std::decay<F>::type, typename std::decay<A>::type...>>
	{
		return apply_async(call(), std::forward<F>(f), std::forward<A>(args)...);
	}
	template <typename F, typename... A>
	auto apply(F &&f, A &&...args)
		-> detail::result_of<typename std::decay<F>::type, typename std::decay<A>::type...>
	{
		return apply_async(std::forward<F>(f), std::forward<A>(args)...).get();
	}

	/* f(item) for each item of a container or an array. One that is no temporary is lent until the result is
	 * ready. */
	template <typename F, typename C>
	auto map_async(F &&f, C &&items, std::size_t chunksize = 0, const call &options = call())
		-> results<detail::mapped<F, C>>
	{
		using R = detail::mapped<F, C>;
		const std::size_t n = static_cast<std::size_t>(std::distance(std::begin(items), std::end(items)));
		using J = detail::many<R, typename std::decay<F>::type, C>;
		std::shared_ptr<detail::job<R>> all =
			std::make_shared<J>(std::forward<F>(f), std::forward<C>(items), n);
		mppool_result *made = detail::submit<R>(pool_, all, chunksize, options);
		return results<R>(made, std::move(all));
	}
	template <typename F, typename C>
	auto map(F &&f, C &&items, std::size_t chunksize = 0, const call &options = call())
		-> typename detail::gathered<detail::mapped<F, C>>::type
	{
		return map_async(std::forward<F>(f), std::forward<C>(items), chunksize, options).get();
	}

	/* f(a, b, ...) for each tuple or pair of a container. */
	template <typename F, typename C>
	auto starmap(F &&f, C &&items, std::size_t chunksize = 0, const call &options = call())
		-> typename detail::gathered<detail::mapped<detail::starred<typename std::decay<F>::type>, C>>::type
	{
		return map(detail::starred<typename std::decay<F>::type>{std::forward<F>(f)}, std::forward<C>(items),
		           chunksize, options);
	}

	/* The results one by one, in the order of the input or as they come. The range may be endless; at most
	 * buffersize items are drawn and not yet taken (0: as mppool_imap() has it). */
	template <typename F, typename C>
	auto imap(F &&f, C &&items, std::size_t chunksize = 1, std::size_t buffersize = 0,
	          const call &options = call())
		-> stream<detail::streamed<F, C>>
	{
		return start(mppool_imap, std::forward<F>(f), std::forward<C>(items), chunksize, buffersize, options);
	}
	template <typename F, typename C>
	auto imap_unordered(F &&f, C &&items, std::size_t chunksize = 1, std::size_t buffersize = 0,
	                    const call &options = call())
		-> stream<detail::streamed<F, C>>
	{
		return start(mppool_imap_unordered, std::forward<F>(f), std::forward<C>(items), chunksize, buffersize,
		             options);
	}

private:
	template <typename Start, typename F, typename C>
	auto start(Start *how, F &&f, C &&range, std::size_t chunksize, std::size_t buffersize, const call &options)
		-> stream<detail::streamed<F, C>>
	{
		using R = detail::streamed<F, C>;
		using shared = std::shared_ptr<detail::stream<R>>;
		shared all = std::make_shared<detail::stream_of<R, typename std::decay<F>::type, C>>(
			std::forward<F>(f), std::forward<C>(range));
		std::unique_ptr<shared> context(new shared(all));
		mppool_func func = MPPOOL_FUNC_INIT;
		mppool_iterable items = MPPOOL_ITERABLE_INIT;
		mppool_iter *iter = nullptr;

		func.call = detail::stream_run<R>;
		func.nargs = 1;
		func.arg_size[0] = sizeof(void *);
		func.result_size = sizeof(void *);
		func.context = context.get();
		func.drop_args = detail::stream_drop_args<R>;
		func.drop_result = detail::stream_drop_result<R>;
		func.release = detail::release<detail::stream<R>>;
		func.name = "a callable";
		items.next = detail::stream_next<R>;
		items.state = context.get();
		detail::check(how(pool_, &func, &items, chunksize, buffersize, options, &iter));
		context.release();
		return stream<R>(iter, std::move(all));
	}

	mppool *pool_;
};

} /* namespace mpp */

#endif
