/* mppool-sugar.h - the macros of mppool.h: structs in expressions, ordinary functions as tasks, typed calls
 *
 * SPDX-License-Identifier: MIT
 *
 * Programs include <mppool.h>, which includes this. The pages are mppool_func(3), mppool_typed(3), mppool_iterable(3),
 * mppool_create(3), mppool_apply(3). Names that end in an underscore, and names with _mppool_ in them, are private.
 *
 * Everything that a macro defines is static, so a program may have the same task in several files. */
#ifndef MPPOOL_SUGAR_H
#define MPPOOL_SUGAR_H

#ifndef MPPOOL_H
#error "include <mppool.h>: mppool-sugar.h is a part of it"
#endif

#include <errno.h>
#include <string.h>

#ifdef __cplusplus
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#endif

/* ------------------------------------------------------------------------------------------ structs in expressions */

#define MPPOOL_OPTIONS_INIT {sizeof(struct mppool_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define MPPOOL_CALL_OPTIONS_INIT {sizeof(struct mppool_call_options), 0, 0, 0, 0, 0, 0, 0, 0}
#define MPPOOL_COUNTERS_INIT                                                                                          \
	{sizeof(struct mppool_counters), sizeof(struct mppool_worker_counters), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   \
	 0, 0, 0, 0, 0, 0}
#define MPPOOL_FUNC_INIT {sizeof(struct mppool_func), 0, 0, 0, {0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, 0}
#define MPPOOL_ITERABLE_INIT {sizeof(struct mppool_iterable), 0, 0, 0, 0, 0, 0}

/* The number of elements of an array. A pointer does not know it, and is refused. */
#ifdef __cplusplus
template <typename T, size_t N> constexpr size_t mppool_cxx_length_(const T (&)[N]) { return N; }
#define MPPOOL_LENGTH(xs) mppool_cxx_length_(xs)
#elif defined(__GNUC__) || defined(__clang__)
#define MPPOOL_LENGTH(xs)                                                                                             \
	(sizeof(xs) / sizeof *(xs) + 0 * sizeof(struct {                                                              \
		char mppool_x;                                                                                        \
		_Static_assert(!__builtin_types_compatible_p(__typeof__(xs), __typeof__(&(xs)[0])),                   \
		               "MPPOOL_LENGTH takes an array, and " #xs " is a pointer");                             \
	}))
#else
#define MPPOOL_LENGTH(xs) (sizeof(xs) / sizeof *(xs))
#endif

/* Columns, for MPPOOL_ZIP: an array, one repeated value (by its address), a member of an array of structs. */
#ifdef __cplusplus
#define MPPOOL_COLUMN_K_(base, stride, size, kind, start) (mppool_column{(base), (stride), (size), (kind), (start)})
#else
#define MPPOOL_COLUMN_K_(base, stride, size, kind, start)                                                             \
	((struct mppool_column){(base), (stride), (size), (kind), (start)})
#endif
#define MPPOOL_COLUMN_(base, stride, size) MPPOOL_COLUMN_K_(base, stride, size, MPPOOL_VALUES, 0)
#define MPPOOL_COLUMN(xs) MPPOOL_COLUMN_((xs), sizeof *(xs), sizeof *(xs))
#if defined(__GNUC__) && !defined(__cplusplus)      /* a packed struct's member may have no address of its type */
#define MPPOOL_MEMBER_AT_(rows, member) (const char *)(rows) + offsetof(__typeof__(*(rows)), member)
#else
#define MPPOOL_MEMBER_AT_(rows, member) &(rows)->member
#endif
#define MPPOOL_MEMBER(rows, member)                                                                                   \
	MPPOOL_COLUMN_(MPPOOL_MEMBER_AT_(rows, member), sizeof *(rows), sizeof((rows)->member))

/* The address of each element, for `f(&rows[i])`; the integers start, start + 1, ... of type T, in no array. */
#define MPPOOL_ADDRESS(rows) MPPOOL_COLUMN_K_((rows), sizeof *(rows), sizeof(void *), MPPOOL_ADDRESSES, 0)
#define MPPOOL_RANGE(T, start)                                                                                        \
	MPPOOL_COLUMN_K_(0, 1, sizeof(T) / ((T)0.5 == 0), MPPOOL_RANGES, (int64_t)(T)(start)) /* T is an integer's */

/* A literal string stands for itself: it is repeated as a `const char *`, not as its first character. */
#define MPPOOL_REPEAT(p) MPPOOL_REPEAT_(p)
#define MPPOOL_LITERAL_(p) (#p[0] == '"')
#ifdef __cplusplus
template <typename T>
inline mppool_column mppool_cxx_repeat_(bool literal, const T *p, const void *&&held = 0)
{
	held = p;
	return literal ? MPPOOL_COLUMN_(&held, 0, sizeof held) : MPPOOL_COLUMN_(p, 0, sizeof *p);
}
#define MPPOOL_REPEAT_(p) mppool_cxx_repeat_(MPPOOL_LITERAL_(p), (p))
#else
#define MPPOOL_REPEAT_(p)                                                                                             \
	MPPOOL_COLUMN_(MPPOOL_LITERAL_(p) ? (const void *)&(const void *const){(p)} : (const void *)(p), 0,           \
	               MPPOOL_LITERAL_(p) ? sizeof(const char *) : sizeof *(p))
#endif

#define MPPOOL_ARRAY(xs, n) MPPOOL_ZIP(n, MPPOOL_COLUMN(xs))

#ifdef __cplusplus

/* Temporaries live to the end of the full expression: as long as the call that they are handed to. */
inline const void *const *mppool_cxx_args_(std::initializer_list<const void *> args) { return args.begin(); }
inline const mppool_iterable *mppool_cxx_zip_(size_t n, std::initializer_list<mppool_column> columns,
                                              mppool_iterable &&items = mppool_iterable())
{
	items.size = sizeof items;
	items.columns = columns.begin();
	items.ncolumns = columns.size();
	items.length = n;
	return &items;
}
template <typename T> inline const T *mppool_cxx_address_(const T &value) { return &value; }

#define MPPOOL_ARGS(...) mppool_cxx_args_({__VA_ARGS__})
#define MPPOOL_ZIP(n, ...) mppool_cxx_zip_((n), {__VA_ARGS__})
#define MPPOOL_TIMES(n) mppool_cxx_zip_((n), {})
#define MPPOOL_OPTIONS(...) mppool_cxx_address_(mppool_options{.size = sizeof(mppool_options), __VA_ARGS__})
#define MPPOOL_CALL(...) mppool_cxx_address_(mppool_call_options{.size = sizeof(mppool_call_options), __VA_ARGS__})

#else

#define MPPOOL_ARGS(...) ((const void *const[]){__VA_ARGS__})
#define MPPOOL_ZIP(n, ...)                                                                                            \
	(&(const struct mppool_iterable){                                                                             \
		.size = sizeof(struct mppool_iterable),                                                               \
		.columns = (const struct mppool_column[]){__VA_ARGS__},                                               \
		.ncolumns = sizeof((const struct mppool_column[]){__VA_ARGS__}) / sizeof(struct mppool_column),       \
		.length = (n)})
#define MPPOOL_TIMES(n) (&(const struct mppool_iterable){.size = sizeof(struct mppool_iterable), .length = (n)})
#define MPPOOL_OPTIONS(...) (&(const struct mppool_options){.size = sizeof(struct mppool_options), __VA_ARGS__})
#define MPPOOL_CALL(...)                                                                                              \
	(&(const struct mppool_call_options){.size = sizeof(struct mppool_call_options), __VA_ARGS__})

#endif

/* The twenty-fifth argument: how a macro tells how many it was given. */
#define MPPOOL_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21,  \
                     a22, a23, a24, pick, ...)                                                                        \
	pick

/* MPPOOL_WITH(pool, .workers = 4) { ... } else { ... } is Python's `with Pool(4) as pool:`. The pool is terminated,
 * joined and freed at the end of the block, also on break and, with GCC and Clang, on return. If it cannot be created
 * the block does not run, an else does. */
static inline MPPOOL_ATTR_((unused)) void mppool_with_leave_(mppool **pool)
{
	if (*pool) {
		mppool_terminate(*pool);
		mppool_destroy(*pool);
	}
}
#if defined(__GNUC__) || defined(__clang__)
#define MPPOOL_WITH_SCOPE_ __attribute__((cleanup(mppool_with_leave_)))
#define MPPOOL_WITH_END_(pool) ((void)0)
#else
#define MPPOOL_WITH_SCOPE_
#define MPPOOL_WITH_END_(pool) mppool_with_leave_(&(pool))
#endif
/* The code is what *pool says: it stays NULL where none could be created. */
static inline MPPOOL_ATTR_((unused)) mppool **mppool_with_enter_(const struct mppool_options *options, mppool **pool)
{
	if (mppool_create(options, pool) != 0)
		*pool = 0;
	return pool;
}
#define MPPOOL_WITH_LOOP_(pool, options)                                                                              \
	for (mppool *pool MPPOOL_WITH_SCOPE_ = 0, **mppool_turn_##pool = mppool_with_enter_(options, &pool);          \
	     mppool_turn_##pool; MPPOOL_WITH_END_(pool), mppool_turn_##pool = 0)                                      \
		for (int mppool_once_##pool = 1; mppool_once_##pool; mppool_once_##pool = 0)                          \
			if (pool)
#define MPPOOL_WITH_1_(pool) MPPOOL_WITH_LOOP_(pool, 0)
#define MPPOOL_WITH_2_(pool, ...) MPPOOL_WITH_LOOP_(pool, MPPOOL_OPTIONS(__VA_ARGS__))
#define MPPOOL_WITH(...)                                                                                              \
	MPPOOL_PICK_(__VA_ARGS__, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,     \
	             MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,  \
	             MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,  \
	             MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_, MPPOOL_WITH_2_,  \
	             MPPOOL_WITH_1_, 0)                                                                               \
	(__VA_ARGS__)

/* MPPOOL_FOR_EACH(code, square_task_next(iter, &y, &i, MPPOOL_FOREVER)) { ... } runs the block for every item, those
 * that failed too; code says which it is. The loop ends after the last item, and after a code that every further call
 * would return again, such as EDEADLK: the block has seen that code then. */
static inline MPPOOL_ATTR_((unused)) int mppool_goes_on_(int code)
{
	return code == 0 || code == MPPOOL_ETASK || code == ETIMEDOUT || code == MPPOOL_EITER ||
	       code == MPPOOL_ETERMINATED || code == MPPOOL_EBROKEN || code == ECANCELED;
}
#define MPPOOL_FOR_EACH(code, next) for (int code = 0; mppool_goes_on_(code) && (code = (next)) != MPPOOL_ESTOP;)

/* --------------------------------------------------------------------------------------------------- counted lists */

/* How many types follow NAME, R, F: 0 to 8, or FEW, or MANY. */
#define MPPOOL_COUNT_(...)                                                                                            \
	MPPOOL_PICK_(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, 8, 7, \
	             6, 5, 4, 3, 2, 1, 0, FEW, FEW, 0)

/* How many follow NAME, R, F, C. */
#define MPPOOL_COUNT_WITH_(...)                                                                                       \
	MPPOOL_PICK_(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, 8, 7, 6, 5, \
	             4, 3, 2, 1, 0, FEW, FEW, FEW, 0)

/* A list is a function, or the type of a context, and argument types, so that it is never empty. */
#define MPPOOL_HEAD_(f, ...) f
#define MPPOOL_HEAD_TEXT_(f, ...) #f

/* m(0, A) m(1, B) ... */
#define MPPOOL_EACH_0_(m, f)
#define MPPOOL_EACH_1_(m, f, A) m(0, A)
#define MPPOOL_EACH_2_(m, f, A, B) m(0, A) m(1, B)
#define MPPOOL_EACH_3_(m, f, A, B, C) m(0, A) m(1, B) m(2, C)
#define MPPOOL_EACH_4_(m, f, A, B, C, D) m(0, A) m(1, B) m(2, C) m(3, D)
#define MPPOOL_EACH_5_(m, f, A, B, C, D, E) m(0, A) m(1, B) m(2, C) m(3, D) m(4, E)
#define MPPOOL_EACH_6_(m, f, A, B, C, D, E, F) m(0, A) m(1, B) m(2, C) m(3, D) m(4, E) m(5, F)
#define MPPOOL_EACH_7_(m, f, A, B, C, D, E, F, G) m(0, A) m(1, B) m(2, C) m(3, D) m(4, E) m(5, F) m(6, G)
#define MPPOOL_EACH_8_(m, f, A, B, C, D, E, F, G, H) m(0, A) m(1, B) m(2, C) m(3, D) m(4, E) m(5, F) m(6, G) m(7, H)

/* m(0, A), m(1, B), ...; z where there are none. */
#define MPPOOL_LIST_0_(m, z, f) z
#define MPPOOL_LIST_1_(m, z, f, A) m(0, A)
#define MPPOOL_LIST_2_(m, z, f, A, B) m(0, A), m(1, B)
#define MPPOOL_LIST_3_(m, z, f, A, B, C) m(0, A), m(1, B), m(2, C)
#define MPPOOL_LIST_4_(m, z, f, A, B, C, D) m(0, A), m(1, B), m(2, C), m(3, D)
#define MPPOOL_LIST_5_(m, z, f, A, B, C, D, E) m(0, A), m(1, B), m(2, C), m(3, D), m(4, E)
#define MPPOOL_LIST_6_(m, z, f, A, B, C, D, E, F) m(0, A), m(1, B), m(2, C), m(3, D), m(4, E), m(5, F)
#define MPPOOL_LIST_7_(m, z, f, A, B, C, D, E, F, G) m(0, A), m(1, B), m(2, C), m(3, D), m(4, E), m(5, F), m(6, G)
#define MPPOOL_LIST_8_(m, z, f, A, B, C, D, E, F, G, H)                                                               \
	m(0, A), m(1, B), m(2, C), m(3, D), m(4, E), m(5, F), m(6, G), m(7, H)

/* Without arguments, or with some. */
#define MPPOOL_SOME_0_(none, ...) none
#define MPPOOL_SOME_1_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_2_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_3_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_4_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_5_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_6_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_7_(none, ...) __VA_ARGS__
#define MPPOOL_SOME_8_(none, ...) __VA_ARGS__

/* What functions of one argument have. */
#define MPPOOL_IF_0_(...)
#define MPPOOL_IF_1_(...) __VA_ARGS__
#define MPPOOL_IF_2_(...)
#define MPPOOL_IF_3_(...)
#define MPPOOL_IF_4_(...)
#define MPPOOL_IF_5_(...)
#define MPPOOL_IF_6_(...)
#define MPPOOL_IF_7_(...)
#define MPPOOL_IF_8_(...)

/* ------------------------------------------------------------------------------------ ordinary functions in a pool */

/* MPPOOL_FUNC(name, R, f, T...): `R f(T...)` as `static const struct mppool_func name`; f may call mppool_raise().
 * MPPOOL_PROC(name, f, T...):    the same for a function without a result.
 * MPPOOL_PURE(name, R, f, T...): f never raises; its loop over a chunk is inlined, and vectorised where it can be.
 * Results may be stored over the items themselves, or apart from them, but not partly over them.
 * Each also defines the calls name_apply() ... name_next(): see "typed calls" below. */
#define MPPOOL_FUNC(...) MPPOOL_BY_COUNT_(FUNC, MPPOOL_COUNT_(__VA_ARGS__), __VA_ARGS__)
#define MPPOOL_PURE(...) MPPOOL_BY_COUNT_(PURE, MPPOOL_COUNT_(__VA_ARGS__), __VA_ARGS__)
#define MPPOOL_PROC(...) MPPOOL_BY_COUNT_(PROC, MPPOOL_COUNT_(void, __VA_ARGS__), __VA_ARGS__)

/* MPPOOL_FUNC_WITH(name, R, f, C, T...): `R f(C, T...)`, where C is the type of a pointer that is the same for all
 * items, as functools.partial has it. MPPOOL_BIND(name, pointer) is the function with it, to hand to one call after
 * another; the typed calls take the pointer behind the pool.
 * MPPOOL_PROC_WITH(name, f, C, T...) and MPPOOL_PURE_WITH(name, R, f, C, T...) are as MPPOOL_PROC and MPPOOL_PURE. */
#define MPPOOL_FUNC_WITH(...) MPPOOL_BY_COUNT_(FUNC_WITH, MPPOOL_COUNT_WITH_(__VA_ARGS__), __VA_ARGS__)
#define MPPOOL_PURE_WITH(...) MPPOOL_BY_COUNT_(PURE_WITH, MPPOOL_COUNT_WITH_(__VA_ARGS__), __VA_ARGS__)
#define MPPOOL_PROC_WITH(...) MPPOOL_BY_COUNT_(PROC_WITH, MPPOOL_COUNT_WITH_(void, __VA_ARGS__), __VA_ARGS__)
#ifdef __cplusplus
#define MPPOOL_BIND(name, pointer) mppool_cxx_address_(name##_mppool_bind(pointer))
#else
#define MPPOOL_BIND(name, pointer) ((const struct mppool_func[]){name##_mppool_bind(pointer)})
#endif

#define MPPOOL_BY_COUNT_(kind, n, ...) MPPOOL_CHOOSE_(kind, n, __VA_ARGS__)
#define MPPOOL_CHOOSE_(kind, n, ...) MPPOOL_CHOOSE_##n##_(kind)(n, __VA_ARGS__)
#define MPPOOL_CHOOSE_FEW_(kind) MPPOOL_##kind##_FEW_
#define MPPOOL_CHOOSE_MANY_(kind) MPPOOL_##kind##_MANY_
#define MPPOOL_CHOOSE_0_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_1_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_2_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_3_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_4_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_5_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_6_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_7_(kind) MPPOOL_##kind##_BODY_
#define MPPOOL_CHOOSE_8_(kind) MPPOOL_##kind##_BODY_

#define MPPOOL_SAYS_(message) MPPOOL_STATIC_ASSERT_(0, message)
#define MPPOOL_FUNC_FEW_(...) MPPOOL_SAYS_("MPPOOL_FUNC(name, R, f, T...) takes a name, a result type and a function")
#define MPPOOL_PURE_FEW_(...) MPPOOL_SAYS_("MPPOOL_PURE(name, R, f, T...) takes a name, a result type and a function")
#define MPPOOL_PROC_FEW_(...) MPPOOL_SAYS_("MPPOOL_PROC(name, f, T...) takes a name and a function")
#define MPPOOL_FUNC_WITH_FEW_(...)                                                                                    \
	MPPOOL_SAYS_("MPPOOL_FUNC_WITH(name, R, f, C, T...) takes a name, a result type, a function, a pointer's type")
#define MPPOOL_PURE_WITH_FEW_(...)                                                                                    \
	MPPOOL_SAYS_("MPPOOL_PURE_WITH(name, R, f, C, T...) takes a name, a result type, a function, a pointer's type")
#define MPPOOL_PROC_WITH_FEW_(...)                                                                                    \
	MPPOOL_SAYS_("MPPOOL_PROC_WITH(name, f, C, T...) takes a name, a function, a pointer's type")
#define MPPOOL_GENERATOR_FEW_(...)                                                                                    \
	MPPOOL_SAYS_("MPPOOL_GENERATOR(name, next, S, T...) takes a name, a function and the type of a state")
#define MPPOOL_FUNC_MANY_(...) MPPOOL_SAYS_("MPPOOL_FUNC takes functions of at most 8 arguments")
#define MPPOOL_PURE_MANY_(...) MPPOOL_SAYS_("MPPOOL_PURE takes functions of at most 8 arguments")
#define MPPOOL_PROC_MANY_(...) MPPOOL_SAYS_("MPPOOL_PROC takes functions of at most 8 arguments")
#define MPPOOL_FUNC_WITH_MANY_(...) MPPOOL_SAYS_("MPPOOL_FUNC_WITH takes functions of at most 8 arguments besides")
#define MPPOOL_PURE_WITH_MANY_(...) MPPOOL_SAYS_("MPPOOL_PURE_WITH takes functions of at most 8 arguments besides")
#define MPPOOL_PROC_WITH_MANY_(...) MPPOOL_SAYS_("MPPOOL_PROC_WITH takes functions of at most 8 arguments besides")
#define MPPOOL_GENERATOR_MANY_(...) MPPOOL_SAYS_("MPPOOL_GENERATOR makes items of at most 8 arguments")

/* The compiler shows a macro's name where it is at fault: `static` in front of a typedef is two storage classes. */
#define MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name) typedef char name##_MPPOOL_TAKES_NO_STATIC_BEFORE_IT_;

/* Inside a function a tag is another type than that of the header. In C++ namespaces are in the way of that. */
#ifdef __cplusplus
#if defined(__GNUC__) || defined(__clang__)
#define MPPOOL_OUTSIDE_(macro) static_assert(__builtin_FUNCTION()[0] == 0, macro " stands outside of all functions");
#else
#define MPPOOL_OUTSIDE_(macro)
#endif
#else
struct mppool_outside_;
typedef struct mppool_outside_ mppool_outside_;
#define MPPOOL_OUTSIDE_(macro)                                                                                        \
	struct mppool_outside_;                                                                                       \
	_Static_assert(_Generic((struct mppool_outside_ *)0, mppool_outside_ *: 1, default: 0),                       \
	               macro " stands outside of all functions");
#endif

/* Without a result type the function is taken for one; with another one results would be converted in silence. */
#ifdef __cplusplus
#define MPPOOL_IS_TYPE_(R, macro)                                                                                     \
	static_assert(!std::is_function<__typeof__(R)>::value, macro ": no result type, " #R " is a function");
#define MPPOOL_RETURNS_(R, call, macro)                                                                               \
	static_assert(std::is_same<std::remove_cv<decltype(call)>::type, std::remove_cv<R>::type>::value,             \
	              macro ": the result type is not what the function returns, " #R);
#define MPPOOL_DECLARED_(i, T) std::declval<T const &>()
#elif defined(__GNUC__) || defined(__clang__)
#define MPPOOL_IS_TYPE_(R, macro)                                                                                     \
	_Static_assert(!__builtin_types_compatible_p(__typeof__(1 ? *(__typeof__(R) *)0 : *(__typeof__(R) *)0),       \
	                                             __typeof__(R) *),                                                \
	               macro ": no result type, " #R " is a function");
#define MPPOOL_RETURNS_(R, call, macro)                                                                               \
	_Static_assert(__builtin_types_compatible_p(__typeof__(call), R),                                             \
	               macro ": the result type is not what the function returns, " #R);
#define MPPOOL_DECLARED_(i, T) (*(T const *)0)
#else
#define MPPOOL_IS_TYPE_(R, macro)
#define MPPOOL_RETURNS_(R, call, macro)
#define MPPOOL_DECLARED_(i, T) (*(T const *)0)
#endif

/* Arguments and results are copied byte by byte, to where max_align_t would fit. */
#define MPPOOL_FITS_(T)                                                                                               \
	MPPOOL_BYTES_(T)                                                                                              \
	MPPOOL_STATIC_ASSERT_(MPPOOL_ALIGNOF_(T) <= MPPOOL_ALIGNOF_(MPPOOL_MAX_ALIGN_T_), "over-aligned type: " #T);
#define MPPOOL_ARG_FITS_(i, T) MPPOOL_FITS_(T)
#ifdef __cplusplus
#define MPPOOL_BYTES_(T) static_assert(std::is_trivially_copyable<T>::value, "not trivially copyable: " #T);
#define MPPOOL_MAX_ALIGN_T_ std::max_align_t
#else
#define MPPOOL_BYTES_(T)
#define MPPOOL_MAX_ALIGN_T_ max_align_t
#endif

/* Neighbouring items do not depend on each other. Clang finds out by itself, at run time, and would warn where it
 * cannot make use of being told. */
#if defined(__GNUC__) && !defined(__clang__)
#define MPPOOL_INDEPENDENT_ _Pragma("GCC ivdep")
#else
#define MPPOOL_INDEPENDENT_
#endif

/* What is in the caller's arrays may lie at any address, as members of packed structs do: so it is read and written as
 * if it were such a member. Most machines have one instruction for both. */
#ifdef __cplusplus
template <typename T> union mppool_cxx_slot_ {
	T value;
	unsigned char bytes[sizeof(T)];
	mppool_cxx_slot_() : bytes() {}
};
template <typename T> inline T mppool_cxx_load_(const void *from, std::false_type)
{
	mppool_cxx_slot_<T> slot;
	memcpy(slot.bytes, from, sizeof(T));
	return slot.value;
}
template <typename T> inline T const &mppool_cxx_load_(const void *from, std::true_type)
{
	return *static_cast<T const *>(from);
}
template <typename T> inline void mppool_cxx_store_(void *to, const T &value) { memcpy(to, &value, sizeof(T)); }
#define MPPOOL_LOAD_(T, p) mppool_cxx_load_<T>((p), std::is_array<T>())
#define MPPOOL_STORE_(T, p, v) mppool_cxx_store_<T>((p), (v))
#elif defined(__GNUC__) || defined(__clang__)
#define MPPOOL_LOAD_(T, p) (((const struct __attribute__((packed, may_alias)) { T value; } *)(const void *)(p))->value)
#define MPPOOL_STORE_(T, p, v) (((struct __attribute__((packed, may_alias)) { T value; } *)(void *)(p))->value = (v))
#else
#define MPPOOL_LOAD_(T, p) (*(T const *)(const void *)(p))
#define MPPOOL_STORE_(T, p, v) (*(T *)(void *)(p) = (v))
#endif
#define MPPOOL_ALIGNED_(T, p) ((uintptr_t)(p) % MPPOOL_ALIGNOF_(T) == 0)

#define MPPOOL_FUNC_BODY_(n, name, R, ...)                                                                            \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_CHECKS_(n, name, R, "MPPOOL_FUNC", __VA_ARGS__)                                                        \
	MPPOOL_ITEM_(name, MPPOOL_STORE_(R, mppool_r, MPPOOL_RUN_(n, MPPOOL_A_, __VA_ARGS__)), mppool_raised())       \
	MPPOOL_STRUCT_(n, name, 0, sizeof(R), __VA_ARGS__)                                                            \
	MPPOOL_TYPED_(n, name, R, MPPVALUE, MPPPLAIN, __VA_ARGS__)
#define MPPOOL_PURE_BODY_(n, name, R, ...)                                                                            \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_CHECKS_(n, name, R, "MPPOOL_PURE", __VA_ARGS__)                                                        \
	MPPOOL_ITEM_(name, MPPOOL_STORE_(R, mppool_r, MPPOOL_RUN_(n, MPPOOL_A_, __VA_ARGS__)), 0)                     \
	MPPOOL_CHUNK_(n, name, R, MPPOOL_RUN_(n, MPPOOL_E_, __VA_ARGS__), MPPOOL_RUN_(n, MPPOOL_S_, __VA_ARGS__),     \
	              __VA_ARGS__)                                                                                    \
	MPPOOL_STRUCT_(n, name, name##_mppool_chunk, sizeof(R), __VA_ARGS__)                                          \
	MPPOOL_TYPED_(n, name, R, MPPVALUE, MPPPLAIN, __VA_ARGS__)
#define MPPOOL_PROC_BODY_(n, name, ...)                                                                               \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_OUTSIDE_("MPPOOL_PROC")                                                                                \
	MPPOOL_EACH_##n##_(MPPOOL_ARG_FITS_, __VA_ARGS__)                                                             \
	MPPOOL_ITEM_(name, MPPOOL_RUN_(n, MPPOOL_A_, __VA_ARGS__), mppool_raised())                                   \
	MPPOOL_STRUCT_(n, name, 0, 0, __VA_ARGS__)                                                                    \
	MPPOOL_TYPED_(n, name, void, MPPNONE, MPPPLAIN, __VA_ARGS__)

/* With a context; the list begins with its type. */
#define MPPOOL_FUNC_WITH_BODY_(n, name, R, f, ...)                                                                    \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_CHECKS_WITH_(n, name, R, f, "MPPOOL_FUNC_WITH", __VA_ARGS__)                                           \
	MPPOOL_ITEM_(name, MPPOOL_STORE_(R, mppool_r, MPPOOL_RUN_WITH_(n, f, A, __VA_ARGS__)), mppool_raised())       \
	MPPOOL_BINDS_(n, name, 0, sizeof(R), f, __VA_ARGS__)                                                          \
	MPPOOL_TYPED_(n, name, R, MPPVALUE, MPPBOUND, __VA_ARGS__)
#define MPPOOL_PURE_WITH_BODY_(n, name, R, f, ...)                                                                    \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_CHECKS_WITH_(n, name, R, f, "MPPOOL_PURE_WITH", __VA_ARGS__)                                           \
	MPPOOL_ITEM_(name, MPPOOL_STORE_(R, mppool_r, MPPOOL_RUN_WITH_(n, f, A, __VA_ARGS__)), 0)                     \
	MPPOOL_CHUNK_(n, name, R, MPPOOL_RUN_WITH_(n, f, E, __VA_ARGS__), MPPOOL_RUN_WITH_(n, f, S, __VA_ARGS__),     \
	              __VA_ARGS__)                                                                                    \
	MPPOOL_BINDS_(n, name, name##_mppool_chunk, sizeof(R), f, __VA_ARGS__)                                        \
	MPPOOL_TYPED_(n, name, R, MPPVALUE, MPPBOUND, __VA_ARGS__)
#define MPPOOL_PROC_WITH_BODY_(n, name, f, ...)                                                                       \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_OUTSIDE_("MPPOOL_PROC_WITH")                                                                           \
	MPPOOL_EACH_##n##_(MPPOOL_ARG_FITS_, __VA_ARGS__)                                                             \
	MPPOOL_ITEM_(name, MPPOOL_RUN_WITH_(n, f, A, __VA_ARGS__), mppool_raised())                                   \
	MPPOOL_BINDS_(n, name, 0, 0, f, __VA_ARGS__)                                                                  \
	MPPOOL_TYPED_(n, name, void, MPPNONE, MPPBOUND, __VA_ARGS__)

#define MPPOOL_CHECKS_(n, name, R, macro, ...)                                                                        \
	MPPOOL_CHECKS_ALL_(n, R, macro, __VA_ARGS__)                                                                  \
	MPPOOL_RETURNS_(R, MPPOOL_RUN_(n, MPPOOL_DECLARED_, __VA_ARGS__), macro)
#define MPPOOL_CHECKS_WITH_(n, name, R, f, macro, ...)                                                                \
	MPPOOL_CHECKS_ALL_(n, R, macro, __VA_ARGS__)                                                                  \
	MPPOOL_RETURNS_(R, f(MPPOOL_DECLARED_(, MPPOOL_HEAD_(__VA_ARGS__, 0))                                         \
	                     MPPOOL_EACH_##n##_(MPPOOL_WITH_DECLARED_, __VA_ARGS__)), macro)
#define MPPOOL_CHECKS_ALL_(n, R, macro, ...)                                                                          \
	MPPOOL_OUTSIDE_(macro)                                                                                        \
	MPPOOL_IS_TYPE_(R, macro)                                                                                     \
	MPPOOL_FITS_(R) MPPOOL_EACH_##n##_(MPPOOL_ARG_FITS_, __VA_ARGS__)

/* The function's call, with the arguments that m says how to read. */
#define MPPOOL_RUN_(n, m, ...) MPPOOL_HEAD_(__VA_ARGS__, 0)(MPPOOL_LIST_##n##_(m, , __VA_ARGS__))
#define MPPOOL_RUN_WITH_(n, f, how, ...)                                                                              \
	f((MPPOOL_HEAD_(__VA_ARGS__, 0))mppool_c MPPOOL_EACH_##n##_(MPPOOL_WITH_##how##_, __VA_ARGS__))
#define MPPOOL_WITH_DECLARED_(i, T) , MPPOOL_DECLARED_(i, T)
#define MPPOOL_WITH_A_(i, T) , MPPOOL_A_(i, T)
#define MPPOOL_WITH_E_(i, T) , MPPOOL_E_(i, T)
#define MPPOOL_WITH_S_(i, T) , MPPOOL_S_(i, T)

#define MPPOOL_STRUCT_(n, name, chunk, result_size, ...)                                                              \
	static const struct mppool_func name MPPOOL_ATTR_((unused)) = {                                               \
		sizeof(struct mppool_func), name##_mppool_item, chunk, n,                                             \
		{MPPOOL_LIST_##n##_(MPPOOL_SIZE_, 0, __VA_ARGS__)}, result_size, 0, 0, 0, 0,                          \
		MPPOOL_HEAD_TEXT_(__VA_ARGS__, 0)}
#define MPPOOL_BINDS_(n, name, chunk, result_size, f, ...)                                                            \
	static inline MPPOOL_ATTR_((unused)) struct mppool_func                                                       \
	name##_mppool_bind(MPPOOL_HEAD_(__VA_ARGS__, 0) mppool_x)                                                     \
	{                                                                                                             \
		struct mppool_func mppool_f = {                                                                       \
			sizeof(struct mppool_func), name##_mppool_item, chunk, n,                                     \
			{MPPOOL_LIST_##n##_(MPPOOL_SIZE_, 0, __VA_ARGS__)}, result_size, 0, 0, 0, 0, #f};             \
		mppool_f.context = (void *)(uintptr_t)mppool_x;                                                       \
		return mppool_f;                                                                                      \
	}                                                                                                             \
	MPPOOL_SEMICOLON_(name##_mppool_bound)
#define MPPOOL_ITEM_(name, statement, code)                                                                           \
	static int name##_mppool_item(const void *const mppool_a[], void *mppool_r, void *mppool_c)                   \
	{                                                                                                             \
		(void)mppool_a;                                                                                       \
		(void)mppool_r;                                                                                       \
		(void)mppool_c;                                                                                       \
		statement;                                                                                            \
		return code;                                                                                          \
	}
/* A chunk: a plain loop where all columns are dense, which is what a compiler vectorises, else by strides. */
#define MPPOOL_CHUNK_(n, name, R, plain, strided, ...)                                                                \
	static int name##_mppool_chunk(const struct mppool_chunk *mppool_k, void *mppool_c)                           \
	{                                                                                                             \
		const struct mppool_column *const mppool_q = mppool_k->columns;                                       \
		const size_t mppool_n = mppool_k->count;                                                              \
		(void)mppool_c;                                                                                       \
		(void)mppool_q;                                                                                       \
		if (mppool_k->result_stride == sizeof(R) && MPPOOL_ALIGNED_(R, mppool_k->results)                     \
			    MPPOOL_EACH_##n##_(MPPOOL_D_, __VA_ARGS__)) {                                             \
			R *const mppool_out = (R *)mppool_k->results;                                                 \
			MPPOOL_EACH_##n##_(MPPOOL_P_, __VA_ARGS__)                                                    \
			MPPOOL_INDEPENDENT_ for (size_t mppool_i = 0; mppool_i < mppool_n; mppool_i++)                \
				mppool_out[mppool_i] = plain;                                                         \
		} else {                                                                                              \
			char *const mppool_to = (char *)mppool_k->results;                                            \
			for (size_t mppool_i = 0; mppool_i < mppool_n; mppool_i++)                                    \
				MPPOOL_STORE_(R, mppool_to + mppool_i * mppool_k->result_stride, strided);            \
		}                                                                                                     \
		return 0;                                                                                             \
	}
#define MPPOOL_SIZE_(i, T) sizeof(T)
#define MPPOOL_A_(i, T) MPPOOL_LOAD_(T, mppool_a[i])
#define MPPOOL_D_(i, T) &&mppool_q[i].stride == sizeof(T) && MPPOOL_ALIGNED_(T, mppool_q[i].base)
#define MPPOOL_P_(i, T) T const *const mppool_p##i = (T const *)mppool_q[i].base;
#define MPPOOL_E_(i, T) mppool_p##i[mppool_i]
#define MPPOOL_S_(i, T) MPPOOL_LOAD_(T, (const char *)mppool_q[i].base + mppool_i * mppool_q[i].stride)

/* `return MPPOOL_RAISE(struct point, EDOM, "no point at %g", x);` fails in a function that returns a struct, a pointer
 * or a number: mppool_raise(), and a value of type T that is all zero. */
#ifdef __cplusplus
template <typename T> inline T mppool_cxx_zero_(int) { return T(); }
#define MPPOOL_RAISE(T, ...) mppool_cxx_zero_<T>(mppool_raise(__VA_ARGS__))
#else
#define MPPOOL_RAISE(T, ...) ((void)mppool_raise(__VA_ARGS__), (T){0})
#endif

/* ----------------------------------------------------------------------------------------------------- typed calls */

/* For MPPOOL_FUNC(square_task, long, square, int), and so for MPPOOL_PURE; mppool_typed(3) has them all:
 *
 *   square_task_apply(pool, 7, &y)                           square_task_apply_async(pool, 7, options, &result)
 *   square_task_map(pool, xs, n, ys, chunksize)              square_task_map_async(pool, xs, n, ys, chunksize,
 *                                                                                  options, &result)
 *   square_task_imap(pool, xs, n, chunksize, buffersize, options, &iter), and square_task_imap_unordered
 *   square_task_get(result, &y, timeout)                     square_task_value(result)
 *   square_task_next(iter, &y, &index, timeout)
 *
 * apply() and apply_async() take one value per argument. starmap(), starmap_async() and the imaps take one array per
 * argument, and then the number of items that each of them has; map() is for functions of one argument.
 * In place of arrays and number map_from(), map_async_from(), imap_from() and imap_unordered_from() take
 * MPPOOL_FROM(generator, &state). Those of an MPPOOL_PROC are without results.
 *
 * They are the calls of mppool.h with their arguments in the usual form, inline: nothing is done besides. */
#define MPPOOL_TYPED_(n, name, R, kind, how, ...)                                                                     \
	;                                                                                                             \
	MPPOOL_TYPED_BEGIN_                                                                                           \
	typedef R name##_mppool_result;                                                                               \
	typedef int name##_mppool_types(MPPOOL_LIST_##n##_(MPPOOL_POINTER_, void, __VA_ARGS__));                      \
	MPPOOL_CALL_(name##_apply, MPPOOL_POOL_##how##_(__VA_ARGS__)                                                  \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_VALUE_, __VA_ARGS__) MPPOOL_OUT_##kind##_(R))                       \
	{                                                                                                             \
		return mppool_apply(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_VECTOR_(n, __VA_ARGS__),             \
		                    MPPOOL_TO_##kind##_);                                                             \
	}                                                                                                             \
	MPPOOL_CALL_(name##_apply_with, MPPOOL_POOL_##how##_(__VA_ARGS__)                                             \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_VALUE_, __VA_ARGS__) MPPOOL_OUT_##kind##_(R),                       \
	             const struct mppool_call_options *mppool_o)                                                      \
	{                                                                                                             \
		return mppool_apply_with(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_VECTOR_(n, __VA_ARGS__),        \
		                         MPPOOL_TO_##kind##_, mppool_o);                                              \
	}                                                                                                             \
	MPPOOL_CALL_(name##_apply_async, MPPOOL_POOL_##how##_(__VA_ARGS__)                                            \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_VALUE_, __VA_ARGS__),                                               \
	             const struct mppool_call_options *mppool_o, mppool_result **mppool_z)                            \
	{                                                                                                             \
		return mppool_apply_async(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_VECTOR_(n, __VA_ARGS__),       \
		                          mppool_o, mppool_z);                                                        \
	}                                                                                                             \
	MPPOOL_IF_##n##_(MPPOOL_MAPS_(n, name, map, R, kind, how, __VA_ARGS__))                                       \
	MPPOOL_MAPS_(n, name, starmap, R, kind, how, __VA_ARGS__)                                                     \
	MPPOOL_IMAPS_(n, name, imap, how, __VA_ARGS__)                                                                \
	MPPOOL_IMAPS_(n, name, imap_unordered, how, __VA_ARGS__)                                                      \
	MPPOOL_MAPS_FROM_(name, R, kind, how, __VA_ARGS__)                                                            \
	MPPOOL_CALL_(name##_get, mppool_result *mppool_z MPPOOL_OUT_##kind##_(R), double mppool_t)                    \
	{                                                                                                             \
		return mppool_result_get(mppool_z, MPPOOL_TO_##kind##_, mppool_t);                                    \
	}                                                                                                             \
	MPPOOL_CALL_(name##_next, mppool_iter *mppool_z MPPOOL_OUT_##kind##_(R), size_t *mppool_i, double mppool_t)   \
	{                                                                                                             \
		return mppool_iter_next(mppool_z, MPPOOL_TO_##kind##_, mppool_i, mppool_t);                           \
	}                                                                                                             \
	MPPOOL_VIEW_##kind##_(name, R)                                                                                \
	MPPOOL_TYPED_END_                                                                                             \
	MPPOOL_SEMICOLON_(name)

/* A task by itself, or bound to a context that comes behind the pool. */
#define MPPOOL_POOL_MPPPLAIN_(...) mppool *mppool_p
#define MPPOOL_TASK_MPPPLAIN_(name) &name
#define MPPOOL_POOL_MPPBOUND_(...) mppool *mppool_p, MPPOOL_HEAD_(__VA_ARGS__, 0) mppool_c
#define MPPOOL_TASK_MPPBOUND_(name) MPPOOL_BIND(name, mppool_c)

/* map, map_with and map_async, or the same of starmap. */
#define MPPOOL_MAPS_(n, name, call, R, kind, how, ...)                                                                \
	MPPOOL_ARRAYS_(n, how, __VA_ARGS__)                                                                           \
	MPPOOL_CALL_(name##_##call, MPPOOL_POOL_##how##_(__VA_ARGS__)                                                 \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_ARRAY_, __VA_ARGS__),                                               \
	             size_t mppool_n MPPOOL_OUT_##kind##_(R), size_t mppool_s)                                        \
	MPPOOL_ROOM_##kind##_(n, __VA_ARGS__)                                                                         \
	{                                                                                                             \
		return mppool_##call(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_ZIPPED_(n, __VA_ARGS__),            \
		                     MPPOOL_TO_##kind##_, mppool_s);                                                  \
	}                                                                                                             \
	MPPOOL_ARRAYS_(n, how, __VA_ARGS__)                                                                           \
	MPPOOL_CALL_(name##_##call##_with, MPPOOL_POOL_##how##_(__VA_ARGS__)                                          \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_ARRAY_, __VA_ARGS__),                                               \
	             size_t mppool_n MPPOOL_OUT_##kind##_(R), size_t mppool_s,                                        \
	             const struct mppool_call_options *mppool_o)                                                      \
	MPPOOL_ROOM_##kind##_(n, __VA_ARGS__)                                                                         \
	{                                                                                                             \
		return mppool_##call##_with(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_ZIPPED_(n, __VA_ARGS__),     \
		                            MPPOOL_TO_##kind##_, mppool_s, mppool_o);                                 \
	}                                                                                                             \
	MPPOOL_ARRAYS_(n, how, __VA_ARGS__)                                                                           \
	MPPOOL_CALL_(name##_##call##_async, MPPOOL_POOL_##how##_(__VA_ARGS__)                                         \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_ARRAY_, __VA_ARGS__),                                               \
	             size_t mppool_n MPPOOL_OUT_##kind##_(R), size_t mppool_s,                                        \
	             const struct mppool_call_options *mppool_o, mppool_result **mppool_z)                            \
	MPPOOL_ROOM_##kind##_(n, __VA_ARGS__)                                                                         \
	{                                                                                                             \
		return mppool_##call##_async(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_ZIPPED_(n, __VA_ARGS__),    \
		                             MPPOOL_TO_##kind##_, mppool_s, mppool_o, mppool_z);                      \
	}

/* imap or imap_unordered, and from a generator. */
#define MPPOOL_IMAPS_(n, name, call, how, ...)                                                                        \
	MPPOOL_ARRAYS_(n, how, __VA_ARGS__)                                                                           \
	MPPOOL_CALL_(name##_##call, MPPOOL_POOL_##how##_(__VA_ARGS__)                                                 \
	             MPPOOL_EACH_##n##_(MPPOOL_BY_ARRAY_, __VA_ARGS__),                                               \
	             size_t mppool_n, size_t mppool_s, size_t mppool_b, const struct mppool_call_options *mppool_o,   \
	             mppool_iter **mppool_z)                                                                          \
	MPPOOL_ROOM_MPPNONE_(n, __VA_ARGS__)                                                                          \
	{                                                                                                             \
		return mppool_##call(mppool_p, MPPOOL_TASK_##how##_(name), MPPOOL_ZIPPED_(n, __VA_ARGS__), mppool_s,  \
		                     mppool_b, mppool_o, mppool_z);                                                   \
	}                                                                                                             \
	MPPOOL_CALL_(name##_##call##_from, MPPOOL_POOL_##how##_(__VA_ARGS__), name##_mppool_types *mppool_g,          \
	             const struct mppool_iterable *mppool_x, size_t mppool_s, size_t mppool_b,                        \
	             const struct mppool_call_options *mppool_o, mppool_iter **mppool_z)                              \
	{                                                                                                             \
		(void)mppool_g;                                                                                       \
		return mppool_##call(mppool_p, MPPOOL_TASK_##how##_(name), mppool_x, mppool_s, mppool_b, mppool_o,    \
		                     mppool_z);                                                                       \
	}
#define MPPOOL_MAPS_FROM_(name, R, kind, how, ...)                                                                    \
	MPPOOL_CALL_(name##_map_from, MPPOOL_POOL_##how##_(__VA_ARGS__), name##_mppool_types *mppool_g,               \
	             const struct mppool_iterable *mppool_x MPPOOL_OUT_##kind##_(R), size_t mppool_s)                 \
	{                                                                                                             \
		(void)mppool_g;                                                                                       \
		return mppool_starmap(mppool_p, MPPOOL_TASK_##how##_(name), mppool_x, MPPOOL_TO_##kind##_,            \
		                      mppool_s);                                                                      \
	}                                                                                                             \
	MPPOOL_CALL_(name##_map_with_from, MPPOOL_POOL_##how##_(__VA_ARGS__), name##_mppool_types *mppool_g,          \
	             const struct mppool_iterable *mppool_x MPPOOL_OUT_##kind##_(R), size_t mppool_s,                 \
	             const struct mppool_call_options *mppool_o)                                                      \
	{                                                                                                             \
		(void)mppool_g;                                                                                       \
		return mppool_starmap_with(mppool_p, MPPOOL_TASK_##how##_(name), mppool_x, MPPOOL_TO_##kind##_,       \
		                           mppool_s, mppool_o);                                                       \
	}                                                                                                             \
	MPPOOL_CALL_(name##_map_async_from, MPPOOL_POOL_##how##_(__VA_ARGS__), name##_mppool_types *mppool_g,         \
	             const struct mppool_iterable *mppool_x MPPOOL_OUT_##kind##_(R), size_t mppool_s,                 \
	             const struct mppool_call_options *mppool_o, mppool_result **mppool_z)                            \
	{                                                                                                             \
		(void)mppool_g;                                                                                       \
		return mppool_starmap_async(mppool_p, MPPOOL_TASK_##how##_(name), mppool_x, MPPOOL_TO_##kind##_,      \
		                            mppool_s, mppool_o, mppool_z);                                            \
	}

#define MPPOOL_CALL_(name, ...) static inline MPPOOL_ATTR_((unused, warn_unused_result)) int name(__VA_ARGS__)
#define MPPOOL_POINTER_(i, T) T *
#define MPPOOL_BY_VALUE_(i, T) , T mppool_x##i
#define MPPOOL_BY_ARRAY_(i, T) , T const *mppool_x##i
#define MPPOOL_COLUMN_OF_(i, T) MPPOOL_COLUMN_(mppool_x##i, sizeof(T), sizeof(T))
#define MPPOOL_ZIPPED_(n, ...)                                                                                        \
	MPPOOL_SOME_##n##_(MPPOOL_TIMES(mppool_n),                                                                    \
	                   MPPOOL_ZIP(mppool_n, MPPOOL_LIST_##n##_(MPPOOL_COLUMN_OF_, , __VA_ARGS__)))
#define MPPOOL_VECTOR_(n, ...)                                                                                        \
	MPPOOL_SOME_##n##_(0, MPPOOL_ARGS(MPPOOL_LIST_##n##_(MPPOOL_ADDRESS_, , __VA_ARGS__)))

/* Where the result goes: a pointer in front of which there is a comma, or nothing. */
#define MPPOOL_OUT_MPPVALUE_(R) , R *mppool_y
#define MPPOOL_OUT_MPPNONE_(R)
#define MPPOOL_TO_MPPVALUE_ mppool_y
#define MPPOOL_TO_MPPNONE_ 0
#define MPPOOL_VIEW_MPPVALUE_(name, R)                                                                                \
	static inline MPPOOL_ATTR_((unused)) R const *name##_value(const mppool_result *mppool_z)                     \
	{                                                                                                             \
		return (R const *)mppool_result_value(mppool_z);                                                      \
	}
#define MPPOOL_VIEW_MPPNONE_(name, R)

/* A parameter of an array's type is a pointer to its first element, which is where its bytes are. */
#define MPPOOL_DECAYED_(i) mppool_decayed_(&mppool_x##i)
static inline MPPOOL_ATTR_((unused)) const void *mppool_decayed_(const void *parameter)
{
	const void *array;
	memcpy(&array, parameter, sizeof array);
	return array;
}
#ifdef __cplusplus
#define MPPOOL_ADDRESS_(i, T) (std::is_array<T>::value ? MPPOOL_DECAYED_(i) : (const void *)&mppool_x##i)
#else
#define MPPOOL_ADDRESS_(i, T) _Generic(&mppool_x##i, T *: (const void *)&mppool_x##i, default: MPPOOL_DECAYED_(i))
#endif

/* More items than an array has, such as `sizeof xs` of them, are seen where the compiler sees the array. */
#if defined(__clang__)
#define MPPOOL_TYPED_BEGIN_                                                                                           \
	_Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wgcc-compat\"")
#define MPPOOL_TYPED_END_ _Pragma("clang diagnostic pop")
#define MPPOOL_ARRAYS_(n, how, ...)
#define MPPOOL_ROOM_MPPNONE_(n, ...) MPPOOL_EACH_##n##_(MPPOOL_HAS_, __VA_ARGS__)
#define MPPOOL_ROOM_MPPVALUE_(n, ...) MPPOOL_EACH_##n##_(MPPOOL_HAS_, __VA_ARGS__)                                    \
	__attribute__((diagnose_if(__builtin_object_size(mppool_y, 0) / sizeof *mppool_y < mppool_n,                  \
	                           "the array of results has fewer elements than there are items", "error")))
#define MPPOOL_HAS_(i, T)                                                                                             \
	__attribute__((diagnose_if(__builtin_object_size(mppool_x##i, 0) / sizeof *mppool_x##i < mppool_n,            \
	                           "the number of items is greater than that of the array's elements", "error")))
#elif defined(__GNUC__) && __GNUC__ >= 10
#define MPPOOL_TYPED_BEGIN_
#define MPPOOL_TYPED_END_
#define MPPOOL_ARRAYS_(n, how, ...) MPPOOL_EACH_##n##_(MPPOOL_HAS_##how##_##n##_, __VA_ARGS__)
#define MPPOOL_HAS_(first, i, length) __attribute__((access(read_only, first + i, length)))
#define MPPOOL_HAS_MPPPLAIN_1_(i, T) MPPOOL_HAS_(2, i, 3)
#define MPPOOL_HAS_MPPPLAIN_2_(i, T) MPPOOL_HAS_(2, i, 4)
#define MPPOOL_HAS_MPPPLAIN_3_(i, T) MPPOOL_HAS_(2, i, 5)
#define MPPOOL_HAS_MPPPLAIN_4_(i, T) MPPOOL_HAS_(2, i, 6)
#define MPPOOL_HAS_MPPPLAIN_5_(i, T) MPPOOL_HAS_(2, i, 7)
#define MPPOOL_HAS_MPPPLAIN_6_(i, T) MPPOOL_HAS_(2, i, 8)
#define MPPOOL_HAS_MPPPLAIN_7_(i, T) MPPOOL_HAS_(2, i, 9)
#define MPPOOL_HAS_MPPPLAIN_8_(i, T) MPPOOL_HAS_(2, i, 10)
#define MPPOOL_HAS_MPPBOUND_1_(i, T) MPPOOL_HAS_(3, i, 4)
#define MPPOOL_HAS_MPPBOUND_2_(i, T) MPPOOL_HAS_(3, i, 5)
#define MPPOOL_HAS_MPPBOUND_3_(i, T) MPPOOL_HAS_(3, i, 6)
#define MPPOOL_HAS_MPPBOUND_4_(i, T) MPPOOL_HAS_(3, i, 7)
#define MPPOOL_HAS_MPPBOUND_5_(i, T) MPPOOL_HAS_(3, i, 8)
#define MPPOOL_HAS_MPPBOUND_6_(i, T) MPPOOL_HAS_(3, i, 9)
#define MPPOOL_HAS_MPPBOUND_7_(i, T) MPPOOL_HAS_(3, i, 10)
#define MPPOOL_HAS_MPPBOUND_8_(i, T) MPPOOL_HAS_(3, i, 11)
#define MPPOOL_ROOM_MPPNONE_(n, ...)
#define MPPOOL_ROOM_MPPVALUE_(n, ...)
#else
#define MPPOOL_TYPED_BEGIN_
#define MPPOOL_TYPED_END_
#define MPPOOL_ARRAYS_(n, how, ...)
#define MPPOOL_ROOM_MPPNONE_(n, ...)
#define MPPOOL_ROOM_MPPVALUE_(n, ...)
#endif

/* A declaration that the semicolon after a macro ends. */
#define MPPOOL_SEMICOLON_(name) struct name##_mppool_end

/* ------------------------------------------------------------------------------------- typed generators, callbacks */

/* MPPOOL_GENERATOR(name, next, S, T...): `int next(T *..., S *state)` for tasks with the arguments T... It stores an
 * item and returns 0, or returns MPPOOL_ESTOP after the last one, or a code of its own to fail.
 * MPPOOL_FROM(name, state[, length[, finish]]) is what the calls in _from take. The length is a bound; MPPOOL_UNKNOWN:
 * none. MPPOOL_ITEMS, with the same arguments, is the same for mppool_map(), mppool_imap() and others. */
#define MPPOOL_GENERATOR(...) MPPOOL_BY_COUNT_(GENERATOR, MPPOOL_COUNT_(__VA_ARGS__), __VA_ARGS__)
#define MPPOOL_GENERATOR_BODY_(n, name, step, ...)                                                                    \
	MPPOOL_TAKES_NO_STATIC_BEFORE_IT_(name)                                                                       \
	MPPOOL_OUTSIDE_("MPPOOL_GENERATOR")                                                                           \
	MPPOOL_EACH_##n##_(MPPOOL_ARG_FITS_, __VA_ARGS__)                                                             \
	typedef int name##_mppool_types(MPPOOL_LIST_##n##_(MPPOOL_POINTER_, void, __VA_ARGS__));                      \
	static MPPOOL_ATTR_((unused)) int name##_mppool_next(void *const mppool_a[], void *mppool_s)                  \
	{                                                                                                             \
		(void)mppool_a;                                                                                       \
		return step(MPPOOL_EACH_##n##_(MPPOOL_MADE_, __VA_ARGS__) (MPPOOL_HEAD_(__VA_ARGS__, 0) *)mppool_s);  \
	}                                                                                                             \
	static inline MPPOOL_ATTR_((unused)) struct mppool_iterable                                                   \
	name##_mppool_from(MPPOOL_HEAD_(__VA_ARGS__, 0) *mppool_s, size_t mppool_n, void (*mppool_f)(void *))         \
	{                                                                                                             \
		struct mppool_iterable mppool_x = MPPOOL_ITERABLE_INIT;                                               \
		mppool_x.next = name##_mppool_next;                                                                   \
		mppool_x.state = mppool_s;                                                                            \
		mppool_x.length = mppool_n;                                                                           \
		mppool_x.finish = mppool_f;                                                                           \
		return mppool_x;                                                                                      \
	}                                                                                                             \
	MPPOOL_SEMICOLON_(name)
#define MPPOOL_MADE_(i, T) (T *)mppool_a[i],

#define MPPOOL_FROM(...) MPPOOL_TYPES_(__VA_ARGS__, 0), MPPOOL_ITEMS(__VA_ARGS__)
#define MPPOOL_ITEMS(...)                                                                                             \
	MPPOOL_PICK_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, MPPOOL_ITEMS_4_,        \
	             MPPOOL_ITEMS_3_, MPPOOL_ITEMS_2_, 0, 0)                                                          \
	(__VA_ARGS__)
#define MPPOOL_ITEMS_2_(name, state) MPPOOL_ITEMS_4_(name, state, MPPOOL_UNKNOWN, 0)
#define MPPOOL_ITEMS_3_(name, state, length) MPPOOL_ITEMS_4_(name, state, length, 0)
#ifdef __cplusplus
#define MPPOOL_TYPES_(name, ...) static_cast<name##_mppool_types *>(0)
#define MPPOOL_ITEMS_4_(name, state, length, finish)                                                                  \
	mppool_cxx_address_(name##_mppool_from(state, length, finish))
#else
#define MPPOOL_TYPES_(name, ...) (name##_mppool_types *)0
#define MPPOOL_ITEMS_4_(name, state, length, finish)                                                                  \
	((const struct mppool_iterable[]){name##_mppool_from(state, length, finish)})
#endif

/* MPPOOL_CALLBACK(name, task, f[, U]): `void f(const R *results, size_t n, U *userdata)`, with the task's result type
 * R, as the function `name` for mppool_call_options.callback. Without U userdata is a `void *`. */
#define MPPOOL_CALLBACK(...)                                                                                          \
	MPPOOL_PICK_(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, MPPOOL_CALLBACK_4_,     \
	             MPPOOL_CALLBACK_3_, 0, 0, 0)                                                                     \
	(__VA_ARGS__)
#define MPPOOL_CALLBACK_3_(name, task, f) MPPOOL_CALLBACK_4_(name, task, f, void)
#define MPPOOL_CALLBACK_4_(name, task, f, U)                                                                          \
	static MPPOOL_ATTR_((unused)) void name(const void *mppool_y, size_t mppool_n, void *mppool_u)                \
	{                                                                                                             \
		f((task##_mppool_result const *)mppool_y, mppool_n, (U *)mppool_u);                                   \
	}                                                                                                             \
	MPPOOL_SEMICOLON_(name)

#endif
