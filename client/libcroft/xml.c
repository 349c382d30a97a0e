/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of XML as stubs write: elements with attributes. Texts are one after the other, not a tree; what is wrong is
 * passed over.
 */
#include <string.h>

#include <undercroft/types.h>

#include "client/libcroft/vm.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_name(char c)
{
	return is_blank(c) || c == '/' || c == '>' || c == '=';
}

static const char *find(const char *at, const char *end, const char *text)
{
	return memmem(at, (size_t)(end - at), text, strlen(text));
}

bool xml_next(const char **at, const char *end, struct xml_element *element)
{
	static const char comment[] = "<!--";

	for (;;) {
		const char *start = memchr(*at, '<', (size_t)(end - *at)), *close;

		if (!start)
			return false;
		if ((size_t)(end - start) >= sizeof(comment) - 1 && memcmp(start, comment, sizeof(comment) - 1) == 0) {
			close = find(start, end, "-->");
			if (!close)
				return false;
			*at = close;
			continue;
		}
		close = memchr(start, '>', (size_t)(end - start));
		if (!close)
			return false;
		*at = close + 1;
		element->name = ++start;
		while (start < close && !ends_name(*start))
			start++;
		element->name_length = (size_t)(start - element->name);
		element->attributes = start;
		element->attributes_length = (size_t)(close - start);
		if (element->name_length)
			return true;
	}
}

bool xml_is(const struct xml_element *element, const char *name)
{
	return element->name_length == strlen(name) && memcmp(element->name, name, element->name_length) == 0;
}

bool xml_text(const struct xml_element *element, const char *name, char *value, size_t size)
{
	const char *at = element->attributes, *end = at + element->attributes_length;
	size_t length = strlen(name);

	while (at < end) {
		const char *word, *close;
		size_t word_length;
		char quote;

		while (at < end && ends_name(*at))
			at++;
		for (word = at; at < end && !ends_name(*at); at++)
			continue;
		word_length = (size_t)(at - word);
		while (at < end && (is_blank(*at) || *at == '='))
			at++;
		if (at == end || (*at != '"' && *at != '\''))
			continue;
		quote = *at++;
		close = memchr(at, quote, (size_t)(end - at));
		if (!close)
			return false;
		if (word_length == length && memcmp(word, name, length) == 0) {
			if ((size_t)(close - at) >= size)
				return false;
			memcpy(value, at, (size_t)(close - at));
			value[close - at] = 0;
			return true;
		}
		at = close + 1;
	}
	return false;
}

bool xml_number(const struct xml_element *element, const char *name, uint64_t *value)
{
	char text[24];
	const char *at = text;

	if (!xml_text(element, name, text, sizeof(text)))
		return false;
	if (text[0] == '0' && text[1] == 'x') {
		at += 2;
		return hex_take(&at, value) && !*at;
	}
	*value = 0;
	for (; *at >= '0' && *at <= '9' && *value < UINT32_MAX; at++)
		*value = *value * 10 + (unsigned)(*at - '0');
	return at != text && !*at;
}
