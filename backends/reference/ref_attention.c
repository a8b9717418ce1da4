/* Rotary positions (Su et al. 2021) and attention within each sequence: rotary, attention, attention_grad. */
#include "reference.h"

#include <inttypes.h>

/* The rotation tables of an op; cosine is NULL when nothing rotates. */
struct rotation {
  const int32_t *positions;
  const float *cosine, *sine;
};

/* x[0..h) rotated by the angles of row t; sign -1 rotates back. */
static void rotate(double *x, const struct rotation *rotation, uint64_t t, uint64_t h, double sign) {
  if (!rotation->cosine)
    return;
  const uint64_t half = h / 2, row = (uint64_t)rotation->positions[t] * half;
  for (uint64_t j = 0; j < half; j++) {
    const double a = x[j], b = x[j + half];
    const double c = rotation->cosine[row + j], s = sign * rotation->sine[row + j];
    x[j] = a * c - b * s;
    x[j + half] = b * c + a * s;
  }
}

int ref_rotary(struct ref_call *call) {
  const struct plm_op_rotary *p = &call->op->u.rotary;
  const uint64_t T = p->rows.count, H = p->heads, h = p->head_size, half = h / 2;
  const double sign = (call->op->flags & PLM_FLAG_INVERSE) ? -1 : 1;
  float *qkv = ref_f32(call, &p->qkv, "qkv", REF_WRITE, T, 3 * H * h);
  const int32_t *positions = ref_i32(call, &p->positions, "positions", REF_READ, T, 1);
  const float *cosine = ref_f32(call, &p->cosine, "cosine", REF_READ, p->table_rows, half);
  const float *sine = ref_f32(call, &p->sine, "sine", REF_READ, p->table_rows, half);
  if (ref_check(call) || ref_check_index(call, "positions", positions, p->rows.count, p->table_rows, 0))
    return call->code;
  for (uint64_t t = 0; t < T; t++)
    for (uint64_t head = 0; head < 2 * H; head++)
      for (uint64_t j = 0; j < half; j++) {
        float *x = qkv + t * 3 * H * h + head * h;
        const double a = x[j], b = x[j + half];
        const double c = cosine[(uint64_t)positions[t] * half + j], s = sign * sine[(uint64_t)positions[t] * half + j];
        x[j] = (float)(a * c - b * s);
        x[j + half] = (float)(b * c + a * s);
      }
  return PLM_OK;
}

/* One head of one sequence in doubles, q and k rotated. */
struct head {
  uint64_t first, n, H, h; /* rows first .. first+n-1 of T */
  double *q, *k, *v;       /* [n, h] */
  double scale;
  int causal;
};

static uint64_t keys_of(const struct head *head, uint64_t i) { return head->causal ? i + 1 : head->n; }

static double score(const struct head *head, uint64_t i, uint64_t j) {
  double sum = 0;
  for (uint64_t c = 0; c < head->h; c++)
    sum += head->q[i * head->h + c] * head->k[j * head->h + c];
  return head->scale * sum;
}

static void head_load(struct head *head, const float *qkv, uint64_t index, const struct rotation *rotation) {
  const uint64_t h = head->h;
  double *const part[3] = {head->q, head->k, head->v};
  for (uint64_t third = 0; third < 3; third++)
    for (uint64_t i = 0; i < head->n; i++) {
      const uint64_t t = head->first + i;
      double *x = part[third] + i * h;
      for (uint64_t c = 0; c < h; c++)
        x[c] = qkv[((t * 3 + third) * head->H + index) * h + c];
      if (third < 2)
        rotate(x, rotation, t, h, 1);
    }
}

uint64_t ref_attention_workspace(const struct plm_op *op) {
  if (op->kind == PLM_OP_ATTENTION) {
    const uint64_t n = op->u.attention.length_max;
    return 3 * n * op->u.attention.head_size + n;
  }
  const uint64_t n = op->u.attention_grad.length_max;
  return 3 * n * op->u.attention_grad.head_size + 2 * n * n + op->u.attention_grad.head_size;
}

/* offsets[0] = 0, ascending, offsets[S] = T, no sequence longer than length_max. */
static int check_offsets(struct ref_call *call, const int32_t *offsets, uint32_t S, uint32_t T, uint32_t length_max) {
  if (call->code)
    return call->code;
  if (offsets[0] != 0)
    return ref_invalid(call, "offsets[0] = %" PRId32 ", must be 0", offsets[0]);
  for (uint32_t s = 0; s < S; s++) {
    const int64_t length = (int64_t)offsets[s + 1] - offsets[s];
    if (length < 0)
      return ref_invalid(call, "offsets[%" PRIu32 "] = %" PRId32 " is below offsets[%" PRIu32 "] = %" PRId32, s + 1,
                         offsets[s + 1], s, offsets[s]);
    if (length > (int64_t)length_max)
      return ref_invalid(call, "sequence %" PRIu32 " has %" PRId64 " tokens, length_max is %" PRIu32, s, length,
                         length_max);
  }
  if ((uint32_t)offsets[S] != T)
    return ref_invalid(call, "offsets[%" PRIu32 "] = %" PRId32 ", must be the %" PRIu32 " tokens", S, offsets[S], T);
  return PLM_OK;
}

/* o and lse of one head; a is scratch for one row of scores. */
static void head_attend(const struct head *head, uint64_t index, float *o, float *lse, double *a) {
  for (uint64_t i = 0; i < head->n; i++) {
    const uint64_t t = head->first + i, keys = keys_of(head, i), h = head->h;
    double top = -INFINITY, sum = 0;
    for (uint64_t j = 0; j < keys; j++) {
      a[j] = score(head, i, j);
      top = fmax(top, a[j]);
    }
    for (uint64_t j = 0; j < keys; j++)
      sum += exp(a[j] - top);
    const double total = top + log(sum);
    lse[t * head->H + index] = (float)total;
    for (uint64_t c = 0; c < h; c++) {
      double mixed = 0;
      for (uint64_t j = 0; j < keys; j++)
        mixed += exp(a[j] - total) * head->v[j * h + c];
      o[(t * head->H + index) * h + c] = (float)mixed;
    }
  }
}

int ref_attention(struct ref_call *call) {
  const struct plm_op_attention *p = &call->op->u.attention;
  const uint32_t T = p->rows.count, S = p->sequences.count, flags = call->op->flags;
  const uint64_t H = p->heads, h = p->head_size, n_max = p->length_max;
  const int rotary = (flags & PLM_FLAG_ROTARY) != 0;
  const float *qkv = ref_f32(call, &p->qkv, "qkv", REF_READ, T, 3 * H * h);
  const int32_t *offsets = ref_i32(call, &p->offsets, "offsets", REF_READ, (uint64_t)S + 1, 1);
  const int32_t *positions = ref_i32(call, &p->positions, "positions", REF_READ, rotary ? T : 0, 1);
  const float *cosine = ref_f32(call, &p->cosine, "cosine", REF_READ, rotary ? p->table_rows : 0, h / 2);
  const float *sine = ref_f32(call, &p->sine, "sine", REF_READ, rotary ? p->table_rows : 0, h / 2);
  float *o = ref_f32(call, &p->o, "o", REF_WRITE, T, H * h);
  float *lse = ref_f32(call, &p->lse, "lse", REF_WRITE, T, H);
  double *work = ref_workspace(call, ref_attention_workspace(call->op));
  if (ref_check(call) || check_offsets(call, offsets, S, T, p->length_max) ||
      ref_check_index(call, "positions", positions, rotary ? T : 0, p->table_rows, 0))
    return call->code;
  const struct rotation rotation = {positions, rotary ? cosine : NULL, sine};
  struct head head = {
      0, 0, H, h, work, work + n_max * h, work + 2 * n_max * h, p->scale, (flags & PLM_FLAG_CAUSAL) != 0};
  for (uint32_t s = 0; s < S; s++)
    for (uint64_t index = 0; index < H; index++) {
      head.first = (uint64_t)offsets[s];
      head.n = (uint64_t)(offsets[s + 1] - offsets[s]);
      head_load(&head, qkv, index, &rotation);
      head_attend(&head, index, o, lse, work + 3 * n_max * h);
    }
  return PLM_OK;
}

/* P and da of one head, both [n, n], zero where a key is hidden. */
static void head_scores_grad(const struct head *head, uint64_t index, const float *o, const float *lse,
                             const float *d_o, double *P, double *da) {
  const uint64_t n = head->n, h = head->h;
  for (uint64_t i = 0; i < n; i++) {
    const uint64_t row = (head->first + i) * head->H + index;
    double delta = 0;
    for (uint64_t c = 0; c < h; c++)
      delta += (double)d_o[row * h + c] * o[row * h + c];
    for (uint64_t j = 0; j < n; j++) {
      double dp = 0;
      for (uint64_t c = 0; c < h; c++)
        dp += d_o[row * h + c] * head->v[j * h + c];
      P[i * n + j] = j < keys_of(head, i) ? exp(score(head, i, j) - lse[row]) : 0;
      da[i * n + j] = P[i * n + j] * (dp - delta);
    }
  }
}

/* Row i's piece of third 0 (dq), 1 (dk) or 2 (dv) into x[0..h). */
static void row_gradient(double *x, const struct head *head, uint64_t index, uint64_t third, uint64_t i,
                         const float *d_o, const double *P, const double *da) {
  const uint64_t n = head->n, h = head->h;
  for (uint64_t c = 0; c < h; c++) {
    double sum = 0;
    for (uint64_t j = 0; j < n; j++)
      if (third == 0)
        sum += da[i * n + j] * head->k[j * h + c];
      else if (third == 1)
        sum += da[j * n + i] * head->q[j * h + c];
      else
        sum += P[j * n + i] * d_o[((head->first + j) * head->H + index) * h + c];
    x[c] = third < 2 ? head->scale * sum : sum;
  }
}

static void head_store_grad(const struct head *head, uint64_t index, const float *d_o, const double *P,
                            const double *da, const struct rotation *rotation, float *dqkv, double *x) {
  const uint64_t h = head->h;
  for (uint64_t third = 0; third < 3; third++)
    for (uint64_t i = 0; i < head->n; i++) {
      const uint64_t t = head->first + i;
      row_gradient(x, head, index, third, i, d_o, P, da);
      if (third < 2)
        rotate(x, rotation, t, h, -1);
      for (uint64_t c = 0; c < h; c++)
        dqkv[((t * 3 + third) * head->H + index) * h + c] = (float)x[c];
    }
}

int ref_attention_grad(struct ref_call *call) {
  const struct plm_op_attention_grad *p = &call->op->u.attention_grad;
  const uint32_t T = p->rows.count, S = p->sequences.count, flags = call->op->flags;
  const uint64_t H = p->heads, h = p->head_size, n_max = p->length_max;
  const int rotary = (flags & PLM_FLAG_ROTARY) != 0;
  const float *qkv = ref_f32(call, &p->qkv, "qkv", REF_READ, T, 3 * H * h);
  const int32_t *offsets = ref_i32(call, &p->offsets, "offsets", REF_READ, (uint64_t)S + 1, 1);
  const int32_t *positions = ref_i32(call, &p->positions, "positions", REF_READ, rotary ? T : 0, 1);
  const float *cosine = ref_f32(call, &p->cosine, "cosine", REF_READ, rotary ? p->table_rows : 0, h / 2);
  const float *sine = ref_f32(call, &p->sine, "sine", REF_READ, rotary ? p->table_rows : 0, h / 2);
  const float *o = ref_f32(call, &p->o, "o", REF_READ, T, H * h);
  const float *lse = ref_f32(call, &p->lse, "lse", REF_READ, T, H);
  const float *d_o = ref_f32(call, &p->d_o, "d_o", REF_READ, T, H * h);
  float *dqkv = ref_f32(call, &p->dqkv, "dqkv", REF_WRITE, T, 3 * H * h);
  double *work = ref_workspace(call, ref_attention_workspace(call->op));
  if (ref_check(call) || check_offsets(call, offsets, S, T, p->length_max) ||
      ref_check_index(call, "positions", positions, rotary ? T : 0, p->table_rows, 0))
    return call->code;
  const struct rotation rotation = {positions, rotary ? cosine : NULL, sine};
  struct head head = {
      0, 0, H, h, work, work + n_max * h, work + 2 * n_max * h, p->scale, (flags & PLM_FLAG_CAUSAL) != 0};
  double *P = work + 3 * n_max * h, *da = P + n_max * n_max, *x = da + n_max * n_max;
  for (uint32_t s = 0; s < S; s++)
    for (uint64_t index = 0; index < H; index++) {
      head.first = (uint64_t)offsets[s];
      head.n = (uint64_t)(offsets[s + 1] - offsets[s]);
      head_load(&head, qkv, index, &rotation);
      head_scores_grad(&head, index, o, lse, d_o, P, da);
      head_store_grad(&head, index, d_o, P, da, &rotation, dqkv, x);
    }
  return PLM_OK;
}
