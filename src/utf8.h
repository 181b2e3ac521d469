/* layer 0: where a character of UTF-8 ends. The tool mppool-timeline has it from here, too. */
#ifndef MPP_UTF8_H
#define MPP_UTF8_H

#include <stddef.h>

/* How many bytes from here are one character; 0: none. The string ends with a zero, which is none of a longer one. */
static inline size_t mpp_utf8_character(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3
	                : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;                /* longer than need be, a surrogate, or beyond the last character */
	return length;
}

#endif
