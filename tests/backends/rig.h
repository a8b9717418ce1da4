/* A bench for single ops on the reference backend: host arrays in, one op, host arrays out. For cmocka tests. */
#ifndef PLM_TESTS_RIG_H
#define PLM_TESTS_RIG_H

#include <stdint.h>

#include "base/error.h"

/* Group setup and teardown: load the reference, open its device and a queue. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* Test teardown: releases the buffers of the test's views. */
int rig_clear(void **state);

/* A view of a buffer of its own that holds data; NULL: whatever a new buffer holds. */
struct plm_view rig_f32(const float *data, uint64_t count);
struct plm_view rig_i32(const int32_t *data, uint64_t count);
/* What a view holds now, in memory that lives until rig_clear. */
const float *rig_read(const struct plm_view *view);
/* Overwrites a view's contents. */
void rig_write(const struct plm_view *view, const float *data);

struct plm_op rig_op(uint32_t kind, uint32_t flags);
/* Runs op with the workspace that it asks for. rig_run fails the test on error; rig_try returns the code and fills err.
 */
void rig_run(const struct plm_op *op);
int rig_try(const struct plm_op *op, struct plm_error *err);
/* The verdict on op; rig_query fails the test on error, rig_ask returns the code and fills err. */
struct plm_verdict rig_query(const struct plm_op *op);
int rig_ask(const struct plm_op *op, struct plm_verdict *out, struct plm_error *err);

/* count standard normals, always the same for a seed, in memory that lives until rig_clear. */
float *rig_normal(uint32_t seed, uint64_t count);

void rig_close(double got, double expected, double tolerance, const char *what);
#define RIG_CLOSE(got, expected, tolerance) rig_close(got, expected, tolerance, #got)

/*
 * gradient[i] against the central difference (loss(x_i + step) - loss(x_i - step)) / (2 step) for every element of x.
 * loss runs the forward op on fresh copies of the inputs; it sees the changed x. With outputs stored in float32, step =
 * 2^-7 and inputs of order 1, both the truncation and the rounding of the difference are below 1e-4, and tolerance
 * (absolute) says what is allowed.
 */
void rig_check_gradient(double (*loss)(void *context), void *context, float *x, uint64_t count, const float *gradient,
                        double tolerance, const char *what);
/* sum of a[i]*b[i] in double */
double rig_dot(const float *a, const float *b, uint64_t count);

#endif
