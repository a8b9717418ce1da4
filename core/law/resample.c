#include "law/resample.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

#define STRATUM_MIN 3

/* Appends the points whose budget is (large) or is not a stratum of its own. */
static void strata_fill(struct plm_strata *s, size_t *at, const struct plm_fit_task *task, int large) {
  for (size_t start = 0, end; start < task->count; start = end) {
    end = plm_budgets_end(task->points, task->count, start);
    if ((end - start >= STRATUM_MIN) != large)
      continue;
    if (large)
      s->starts[s->count++] = *at;
    for (size_t i = start; i < end; i++)
      s->order[(*at)++] = i;
  }
}

int plm_strata_create(struct plm_strata *out, const struct plm_fit_task *task, struct plm_error *err) {
  size_t *all = plm_memory_zeroed(4 * task->count + 2, sizeof *all), at = 0;
  if (!all)
    return plm_error_memory(err, "the bootstrap");
  struct plm_strata s = {all, all + 3 * task->count, all + task->count, all + 2 * task->count, 0};
  plm_noise_kin(s.kin, task);
  strata_fill(&s, &at, task, 1);
  if (at < task->count)
    s.starts[s.count++] = at;
  strata_fill(&s, &at, task, 0);
  s.starts[s.count] = at;
  for (size_t k = 0; k < s.count; k++)
    for (size_t i = s.starts[k]; i < s.starts[k + 1]; i++)
      s.sizes[s.order[i]] = s.starts[k + 1] - s.starts[k];
  *out = s;
  return 0;
}

void plm_strata_destroy(struct plm_strata *strata) { free(strata->order); }

int plm_sample_create(struct plm_sample *out, size_t points, struct plm_error *err) {
  *out =
      (struct plm_sample){plm_memory_zeroed(points, sizeof *out->points), plm_memory_zeroed(points, sizeof *out->times),
                          plm_memory_zeroed(points, sizeof *out->normal), plm_memory_zeroed(points, sizeof *out->common)};
  if (out->points && out->times && out->normal && out->common)
    return 0;
  plm_sample_destroy(out);
  return plm_error_memory(err, "the bootstrap");
}

void plm_sample_destroy(struct plm_sample *sample) {
  free(sample->points);
  free(sample->times);
  free(sample->normal);
  free(sample->common);
  *sample = (struct plm_sample){0};
}

static void times_draw(uint32_t *times, const struct plm_strata *strata, size_t count, uint64_t seed, uint32_t draw) {
  for (size_t i = 0; i < count; i++)
    times[i] = 0;
  for (size_t k = 0; k < strata->count; k++) {
    size_t start = strata->starts[k], size = strata->starts[k + 1] - start;
    for (size_t i = 0; i < size; i++) {
      uint64_t word = plm_rng_word(seed, PLM_RNG_BOOT, draw, 0, (uint32_t)(start + i));
      times[strata->order[start + (size_t)(word * size >> 32)]]++;
    }
  }
}

/* How much wider than the normal's the 95 % range of Student's t is, whose part it is that sigma itself was estimated:
 * Cornish and Fisher's expansion in 1/freedom. */
static double student_factor(double freedom) {
  const double z = 1.959963984540054, z2 = z * z;
  return 1 + (z2 + 1) / (4 * freedom) + ((5 * z2 + 16) * z2 + 3) / (96 * freedom * freedom) +
         (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * freedom * freedom * freedom);
}

static struct plm_point noisy(const struct plm_point *point, double shift) {
  struct plm_point p = *point;
  shift /= sqrt(p.weight);
  p.loss *= exp(shift);
  p.curve_shift += shift;
  return p;
}

size_t plm_sample_draw(struct plm_sample *sample, const struct plm_strata *strata, const struct plm_fit_task *task,
                       enum plm_resample resample, const struct plm_bootstrap *bootstrap, uint32_t draw) {
  int known = bootstrap->noise.freedom > 0;
  double sigma = bootstrap->noise.sigma, common = sqrt(bootstrap->noise.shared), own = sqrt(1 - bootstrap->noise.shared);
  size_t count = 0;
  if (known) {
    plm_rng_normal(sample->normal, task->count, 1, bootstrap->seed, PLM_RNG_BOOT, draw, 1);
    plm_rng_normal(sample->common, task->count, 1, bootstrap->seed, PLM_RNG_BOOT, draw, 2);
  }
  if (known && resample == PLM_RESAMPLE_NOISE) {
    sigma *= student_factor((double)bootstrap->noise.freedom);
    for (; count < task->count; count++)
      sample->points[count] =
          noisy(&task->points[count], sigma * (own * (double)sample->normal[count] +
                                               common * (double)sample->common[strata->kin[count]]));
    return count;
  }
  times_draw(sample->times, strata, task->count, bootstrap->seed, draw);
  for (size_t i = 0; i < task->count; i++) {
    if (known) {
      double deviation = sigma / sqrt((double)strata->sizes[i]);
      for (uint32_t k = 0; k < sample->times[i]; k++, count++)
        sample->points[count] = noisy(&task->points[i], deviation * (double)sample->normal[count] +
                                                            sigma * common * (double)sample->common[strata->kin[i]]);
    } else if (sample->times[i] > 0) {
      sample->points[count] = task->points[i];
      sample->points[count++].weight *= sample->times[i];
    }
  }
  return count;
}
