/* What the three products of a linear layer have in common, for our own kernels (ocl_linear.c) and the library's. */
#ifndef PLM_OCL_LINEAR_H
#define PLM_OCL_LINEAR_H

#include "opencl.h"

/* What is done to C after the product, in this order; the same values as in kernels/linear.cl. */
#define OCL_FINISH_BIAS 1u
#define OCL_FINISH_FROM 2u
#define OCL_FINISH_SLOPE 4u
#define OCL_FINISH_PRE 8u
#define OCL_FINISH_GELU 16u

/* C[rows, columns] = A[rows, depth] B, then finish. B is stored [columns, depth] when transposed. Views borrow from the op. */
struct ocl_product {
  struct plm_view a, b, bias, from, slope, c, pre;
  uint32_t rows, columns, depth, finish, transposed;
};

/* LINEAR or LINEAR_GRAD_INPUT as a product. */
struct ocl_product ocl_product_of(const struct plm_op *op);
/* What is left to be done to C, in place, in one pass. */
int ocl_product_finish(struct plm_queue *queue, const struct plm_op *op, const struct ocl_product *p, struct plm_error *err);

#endif
