#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Sums over sequences that give a ratio and its error in one pass. */
struct ratio {
  double loss, rows, loss2, rows2, cross, sequences;
};

static void ratio_add(struct ratio *r, double loss, double rows) {
  if (rows <= 0)
    return;
  r->loss += loss;
  r->rows += rows;
  r->loss2 += loss * loss;
  r->rows2 += rows * rows;
  r->cross += loss * rows;
  r->sequences++;
}

static void ratio_end(const struct ratio *r, double *mean, double *error) {
  *mean = r->rows > 0 ? r->loss / r->rows : NAN;
  double spread = r->loss2 - 2 * *mean * r->cross + *mean * *mean * r->rows2;
  *error = r->sequences > 1 ? sqrt(fmax(spread, 0) * r->sequences / (r->sequences - 1)) / r->rows : NAN;
}

int plm_validation_create(struct plm_validation *out, const struct plm_corpus *corpus,
                          const struct plm_batch_options *options, int64_t tokens, struct plm_error *err) {
  struct plm_validation v = {0};
  int code = plm_batch_validation(&v.batches, &v.count, corpus, PLM_SPLIT_VALID, options, tokens, err);
  if (code)
    return code;
  for (uint32_t i = 0; i < v.count; i++) {
    v.rows_all += v.batches[i].masked;
    v.rows_mask += v.batches[i].mask_count;
  }
  *out = v;
  return 0;
}

void plm_validation_fini(struct plm_validation *validation) {
  for (uint32_t i = 0; i < validation->count; i++)
    plm_batch_fini(&validation->batches[i]);
  free(validation->batches);
  memset(validation, 0, sizeof *validation);
}

static void add_batch(struct ratio *all, struct ratio *mask, const struct plm_batch *batch, const float *loss) {
  uint32_t row = 0;
  for (uint32_t s = 0; s < batch->sequences; s++) {
    double loss_all = 0, rows_all = 0, loss_mask = 0, rows_mask = 0;
    for (; row < batch->masked && batch->row[row] < batch->offset[s + 1]; row++) {
      loss_all += loss[row];
      rows_all++;
      loss_mask += batch->mask_weight[row] * (double)loss[row];
      rows_mask += batch->mask_weight[row];
    }
    ratio_add(all, loss_all, rows_all);
    ratio_add(mask, loss_mask, rows_mask);
  }
}

int plm_validation_evaluate(struct plm_evaluation *out, const struct plm_validation *validation,
                            struct plm_session *session, struct plm_error *err) {
  struct ratio all = {0}, mask = {0};
  int code = 0;
  for (uint32_t i = 0; !code && i < validation->count; i++) {
    const struct plm_batch *batch = &validation->batches[i];
    float *loss = plm_memory_zeroed(batch->masked, sizeof *loss);
    if (!loss)
      return plm_error_memory(err, "evaluating");
    code = plm_session_evaluate(session, batch, loss, NULL, err);
    if (!code)
      add_batch(&all, &mask, batch, loss);
    free(loss);
  }
  if (code)
    return code;
  ratio_end(&all, &out->loss_all, &out->loss_all_error);
  ratio_end(&mask, &out->loss_mask, &out->loss_mask_error);
  return 0;
}
