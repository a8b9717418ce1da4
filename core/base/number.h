/*
 * Numbers as users write them: 8M, 1.5G, 1e17, 1_000_000, 20k, 2T (powers of ten; k K M G T P E). No hexadecimal, no NaN, no infinity.
 */
#ifndef PLM_BASE_NUMBER_H
#define PLM_BASE_NUMBER_H

#include <stdint.h>

#include "base/error.h"

/* The whole text as a finite number. PLM_E_USAGE: not a number, out of range (1e400), or trailing characters. */
int plm_number_real(double *out, const char *text, struct plm_error *err);

/* The whole text as an exact, not negative integer ("1.5M" is, "1.5" is not; at most 2^63-1). */
int plm_number_integer(int64_t *out, const char *text, struct plm_error *err);

/* yes/no, true/false, on/off, 1/0. */
int plm_number_boolean(int *out, const char *text, struct plm_error *err);

/* A short form of value, 3 significant digits: "7.51M", "1.00e+17" from 1e15, "0.0012". out has size bytes. */
void plm_number_short(char *out, size_t size, double value);

/* A short form of bytes ("1.3 GiB") and of seconds ("2 h 05 min", "41 s"). */
void plm_number_bytes(char *out, size_t size, uint64_t bytes);
void plm_number_duration(char *out, size_t size, double seconds);

#endif
