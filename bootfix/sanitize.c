/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compiled into every program that links libparted, and empty without the address sanitizer.
 * libparted's constructor searches a line that getline() did not fill, before main() begins. */
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "intercept_strchr=0";
}
#else
typedef int sanitize_c_is_not_empty;
#endif
