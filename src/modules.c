/* layer 1: modules, by dl_iterate_phdr(). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "modules.h"

#include "memory.h"

#ifdef __linux__

#include <link.h>

struct range {
	uintptr_t from, to;
};

struct mpp_modules {
	size_t n, room;
	struct range *ranges;
	bool failed;
};

static struct range range_of(const struct dl_phdr_info *info, size_t i)
{
	uintptr_t from = (uintptr_t)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

	return (struct range){from, from + info->dlpi_phdr[i].p_memsz};
}

static bool add(struct mpp_modules *m, struct range range)
{
	if (m->n == m->room) {
		size_t more = m->room ? 2 * m->room : 64;
		struct range *grown = mpp_realloc(m->ranges, more * sizeof *grown);

		if (!grown)
			return false;
		m->ranges = grown;
		m->room = more;
	}
	m->ranges[m->n++] = range;
	return true;
}

static int note(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct mpp_modules *m = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && !add(m, range_of(info, i))) {
			m->failed = true;
			return 1;
		}
	return 0;
}

int mpp_modules_get(struct mpp_modules **ret_modules)
{
	struct mpp_modules *m = mpp_zalloc(sizeof *m);

	if (!m)
		return ENOMEM;
	dl_iterate_phdr(note, m);
	if (m->failed) {
		mpp_modules_free(m);
		return ENOMEM;
	}
	*ret_modules = m;
	return 0;
}

void mpp_modules_free(struct mpp_modules *m)
{
	if (m)
		mpp_free(m->ranges);
	mpp_free(m);
}

static int find(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t *address = arg;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		struct range r = range_of(info, i);

		if (info->dlpi_phdr[i].p_type == PT_LOAD && *address >= r.from && *address < r.to)
			return 1;
	}
	return 0;
}

bool mpp_modules_is_new(const struct mpp_modules *m, uintptr_t address)
{
	if (address == 0)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (address >= m->ranges[i].from && address < m->ranges[i].to)
			return false;
	return dl_iterate_phdr(find, &address) != 0;
}

#else

struct mpp_modules {
	char unused;
};

int mpp_modules_get(struct mpp_modules **ret_modules)
{
	*ret_modules = mpp_zalloc(sizeof **ret_modules);
	return *ret_modules ? 0 : ENOMEM;
}

void mpp_modules_free(struct mpp_modules *m)
{
	mpp_free(m);
}

bool mpp_modules_is_new(const struct mpp_modules *m, uintptr_t address)
{
	(void)m;
	(void)address;
	return false;
}

#endif
