/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test.h - cmocka wants these headers before its own, in this order */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
