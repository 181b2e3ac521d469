/* layer 1: checking, copying and remembering functions. */
#include "func.h"

#include "memory.h"
#include "thread.h"

int mpp_struct_copy(void *to, const void *from, size_t known, size_t first_version)
{
	const unsigned char *bytes = from;
	size_t size;

	memcpy(&size, from, sizeof size);
	if (size < first_version)
		return EINVAL;
	for (size_t i = known; i < size; i++)
		if (bytes[i] != 0)
			return E2BIG;
	memcpy(to, from, mpp_min(size, known));
	if (size < known)
		memset((char *)to + size, 0, known - size);
	memcpy(to, &known, sizeof known);
	return 0;
}

static int check(const struct mppool_func *f)
{
	if (f->context_size > (size_t)PTRDIFF_MAX / 4 || (f->context_size > 0 && !f->context))
		return EINVAL;
	if ((!f->call && !f->chunk_call) || f->nargs > MPPOOL_MAX_ARGS)
		return EINVAL;
	if (f->result_size > (size_t)PTRDIFF_MAX / 4)
		return EINVAL;
	for (size_t i = 0; i < f->nargs; i++)
		if (f->arg_size[i] > (size_t)PTRDIFF_MAX / 4 / MPPOOL_MAX_ARGS)
			return EINVAL;
	return 0;
}

static struct mpp_func *make(const struct mppool_func *f, size_t refs)
{
	size_t name_size = f->name ? strlen(f->name) + 1 : 0;
	struct mpp_func *copy = mpp_zalloc(sizeof *copy + name_size);

	if (!copy)
		return NULL;
	copy->f = *f;
	copy->callers_name = f->name;
	if (f->name)
		copy->f.name = memcpy(copy + 1, f->name, name_size);
	for (size_t i = 0; i < f->nargs; i++) {
		copy->offset[i] = copy->args_size;
		copy->args_size += mpp_slot(f->arg_size[i]);
	}
	mpp_poke(&copy->refs, refs);
	return copy;
}

static void unref(struct mpp_func *func, size_t n)
{
	if (mpp_sub(&func->refs, n) == n)
		mpp_free(func);
}

/* ----------------------------------------------------------------------------------------------- a thread's memory */

#define WAYS 4                   /* functions that a thread remembers */
#define STOCK ((size_t)1 << 16)  /* references taken at once; twice as many are too many to keep */

static _Thread_local struct way {
	struct mpp_func *func;
	size_t stock;            /* references that this thread holds, at least one */
} ways[WAYS];

static void forget_all(void)
{
	for (size_t i = 0; i < WAYS; i++) {
		if (ways[i].func)
			unref(ways[i].func, ways[i].stock);
		ways[i].func = NULL;
	}
}

static _Thread_local struct mpp_exit_hook exit_hook = {forget_all, NULL, false};

/* Functions that differ share a way only by chance: their code and context choose it. */
static struct way *way_of(const struct mppool_func *f)
{
	uintptr_t mix = (uintptr_t)f->call ^ (uintptr_t)f->chunk_call ^ (uintptr_t)f->context;

	return &ways[(mix >> 4 ^ mix >> 9) % WAYS];
}

static void remember(struct way *way, struct mpp_func *func, size_t stock)
{
	mpp_at_thread_exit(&exit_hook);
	if (way->func)
		unref(way->func, way->stock);
	way->func = func;
	way->stock = stock;
}

#define WORDS (offsetof(struct mppool_func, name) / sizeof(uintptr_t))
_Static_assert(offsetof(struct mppool_func, name) % sizeof(uintptr_t) == 0, "words to compare");

/* On the way of every call: no branch depends on the words. A name may have been changed where it lies, so it is read. */
static bool same(const struct mpp_func *copy, const struct mppool_func *f)
{
	const unsigned char *a = (const unsigned char *)&copy->f, *b = (const unsigned char *)f;
	uintptr_t differ = 0, x, y;

	for (size_t i = 0; i < WORDS; i++) {
		memcpy(&x, a + i * sizeof x, sizeof x);
		memcpy(&y, b + i * sizeof y, sizeof y);
		differ |= x ^ y;
	}
	return differ == 0 && copy->f.context_size == f->context_size && copy->callers_name == f->name && (!f->name || strcmp(copy->f.name, f->name) == 0);
}

static struct mpp_func *take(struct way *way)
{
	if (way->stock == 1) {           /* the last one stays, it keeps the copy alive */
		mpp_add(&way->func->refs, STOCK);
		way->stock += STOCK;
	}
	way->stock--;
	return way->func;
}

int mpp_func_get(const struct mppool_func *func, struct mpp_func **ret_func)
{
	struct mppool_func known;
	struct mpp_func *copy;
	struct way *way;
	int error;

	if (!func)
		return EINVAL;
	if (mpp_unlikely(func->size != sizeof known)) {
		error = mpp_struct_copy(&known, func, sizeof known, offsetof(struct mppool_func, context_size));
		if (error)
			return error;
		func = &known;
	}
	way = way_of(func);
	if (mpp_unlikely(!way->func || !same(way->func, func))) {
		error = check(func);
		if (error)
			return error;
		copy = make(func, STOCK);
		if (!copy)
			return ENOMEM;
		remember(way, copy, STOCK);
	}
	*ret_func = take(way);
	return 0;
}

void mpp_func_put(struct mpp_func *func)
{
	struct way *way = way_of(&func->f);

	if (mpp_unlikely(way->func != func)) {
		remember(way, func, 1);
		return;
	}
	if (mpp_unlikely(++way->stock > 2 * STOCK)) {
		way->stock -= STOCK;
		unref(func, STOCK);
	}
}
