/*
 * exp, 2^x and the normal distribution function for vectors, with the error bounds of docs/numerics.md, which
 * tests/backends measures. Not-a-number stays not-a-number; nothing assumes finite values.
 */
#ifndef PLM_CPU_MATH_H
#define PLM_CPU_MATH_H

#include "cpu_vec.h"

/*
 * 1.5 * 2^23 + 127: added to x it rounds x to an integer, which then sits in the low bits with the exponent's bias on
 * it, ready to become a power of two. At -127 the power is 0.
 */
#define PLM_ROUND_MAGIC 12583039.0f

PLM_INLINE vf vf_power(vf rounded) { return (vf)((vi)rounded << 23); }

/* 2^x for x <= 127; results below 2^-126 are 0. Polynomial: relative minimax of degree 6 on [-1/2, 1/2]. */
PLM_INLINE vf vf_exp2(vf x) {
  vf c = vf_max(vf_set(-127.0f), x);
  vf rounded = c + PLM_ROUND_MAGIC;
  vf f = c - (rounded - PLM_ROUND_MAGIC);
  vf p = f * 0.00015353259f + 0.0013399003f;
  p = p * f + 0.009618439f;
  p = p * f + 0.05550332f;
  p = p * f + 0.24022648f;
  p = p * f + 0.6931472f;
  p = p * f + 1.0f;
  return p * vf_power(rounded);
}

/* e^x for x <= 88; results below 2^-126 are 0. ln 2 in two parts (Cody and Waite 1980). */
PLM_INLINE vf vf_exp(vf x) {
  vf c = vf_max(vf_set(-88.0f), x);
  vf rounded = c * 1.44269504f + PLM_ROUND_MAGIC;
  vf n = rounded - PLM_ROUND_MAGIC;
  vf r = c - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf p = r * 0.0013814467f + 0.008368781f;
  p = p * r + 0.041668393f;
  p = p * r + 0.1666652f;
  p = p * r + 0.49999994f;
  p = p * r * r + r + 1.0f;
  return p * vf_power(rounded);
}

/*
 * Phi(-|x|) and exp(-x^2/2): Phi(-|x|) = exp(-x^2/2) erfcx(|x|/sqrt 2)/2, and erfcx/2 is a polynomial of degree 8 in
 * t = 1/(1 + 0.425 |x|/sqrt 2) (the form of Abramowitz and Stegun 7.1.26, fitted for least relative error), so
 * that the tail keeps its relative accuracy.
 */
PLM_INLINE vf vf_normal_tail(vf x, vf *density) {
  vf a = vf_abs(x);
  vf t = 1.0f / (a * 0.30052037f + 1.0f);
  vf e = vf_exp(x * x * -0.5f);
  vf p = t * 0.035738353f - 0.15657562f;
  p = p * t + 0.2038046f;
  p = p * t - 0.051622137f;
  p = p * t + 0.12754177f;
  p = p * t + 0.100353405f;
  p = p * t + 0.120920256f;
  p = p * t + 0.11983932f;
  *density = e;
  return p * t * e;
}

/* x Phi(x) = x (1 + erf(x/sqrt 2))/2. */
PLM_INLINE vf vf_gelu(vf x) {
  vf e, tail = vf_normal_tail(x, &e);
  return x * vf_select(x < 0.0f, tail, 1.0f - tail);
}

/* Phi(x) + x exp(-x^2/2)/sqrt(2 pi). */
PLM_INLINE vf vf_gelu_slope(vf x) {
  vf e, tail = vf_normal_tail(x, &e);
  return vf_select(x < 0.0f, tail, 1.0f - tail) + x * e * 0.39894228f;
}

#endif
