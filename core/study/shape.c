#include "study/shape.h"

#include <math.h>
#include <stdio.h>

#include "study/quote.h"

#define LAYERS_MAX 10000u
#define WIDTH_MAX 1000000u
#define PARAMS_MAX 1e15
#define PARAMS_TOLERANCE 0.25

/* Digits up to the end or the next 'x'; no sign, no blank. Returns what follows, NULL when there is no number below
 * 1e9. */
static const char *parse_extent(uint32_t *out, const char *text) {
  uint32_t value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (at - text >= 9)
      return NULL;
    value = value * 10 + (uint32_t)(*at - '0');
  }
  if (at == text)
    return NULL;
  *out = value;
  return at;
}

int plm_shape_parse(struct plm_shape *out, const char *text, struct plm_error *err) {
  char quoted[PLM_QUOTE_TEXT];
  struct plm_shape shape = {0, 0, 0};
  const char *at = parse_extent(&shape.layers, text);
  if (at && *at == 'x')
    at = parse_extent(&shape.width, at + 1);
  else
    at = NULL;
  if (at && *at == 'x')
    at = parse_extent(&shape.heads, at + 1);
  else
    at = NULL;
  plm_quote(quoted, text);
  if (!at || *at)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: not LAYERSxWIDTHxHEADS, like 6x320x20", quoted);
  if (shape.layers < 1 || shape.layers > LAYERS_MAX)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: layers must be from 1 to %u", quoted, LAYERS_MAX);
  if (shape.width < 1 || shape.width > WIDTH_MAX)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: width must be from 1 to %u", quoted, WIDTH_MAX);
  if (shape.heads < 1)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: heads must be at least 1", quoted);
  if (shape.width % shape.heads)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: width %u is not a multiple of heads %u", quoted, shape.width,
                         shape.heads);
  if (shape.width / shape.heads % 2)
    return plm_error_set(err, PLM_E_USAGE, "shape %s: head size %u (width / heads) is odd, rotary needs it even",
                         quoted, shape.width / shape.heads);
  *out = shape;
  return 0;
}

int64_t plm_shape_params_layers(struct plm_shape shape) {
  int64_t width = shape.width;
  return (int64_t)shape.layers * (12 * width * width + 13 * width);
}

int64_t plm_shape_params_head(struct plm_shape shape) {
  int64_t width = shape.width;
  return plm_shape_params_layers(shape) + width * width + 5 * width + PLM_VOCABULARY;
}

int64_t plm_shape_params_total(struct plm_shape shape) {
  return plm_shape_params_head(shape) + (int64_t)PLM_VOCABULARY * shape.width;
}

/* Takes layers x width when it is nearer to params than what *best holds (layers 0: nothing yet). */
static void keep_nearest(struct plm_shape *best, double params, uint32_t layers, uint32_t width, uint32_t head_size) {
  struct plm_shape shape = {layers, width, width / head_size};
  double distance = fabs((double)plm_shape_params_layers(shape) - params);
  if (best->layers == 0 || distance < fabs((double)plm_shape_params_layers(*best) - params))
    *best = shape;
}

int plm_shape_for_params(struct plm_shape *out, double params, uint32_t head_size, struct plm_error *err) {
  if (head_size < 2 || head_size > 65536 || head_size % 2)
    return plm_error_set(err, PLM_E_USAGE, "head size \"%u\": must be even and from 2 to 65536", head_size);
  if (!(params >= 1 && params <= PARAMS_MAX))
    return plm_error_set(err, PLM_E_USAGE, "size \"%g\": must be from 1 to 1e15 parameters", params);
  double trend = round(0.17 * pow(params, 0.25));
  uint32_t middle = trend < 1 ? 1 : (uint32_t)trend;
  struct plm_shape best = {0, 0, 0};
  for (uint32_t layers = middle > 1 ? middle - 1 : 1; layers <= middle + 1; layers++) {
    /* The positive root of 12 D^2 + 13 D = params / layers. */
    double width = (sqrt(169 + 48 * params / layers) - 13) / 24;
    uint32_t multiple = (uint32_t)(width / head_size);
    if (multiple > 0)
      keep_nearest(&best, params, layers, multiple * head_size, head_size);
    keep_nearest(&best, params, layers, (multiple + 1) * head_size, head_size);
  }
  double count = (double)plm_shape_params_layers(best);
  if (fabs(count - params) > PARAMS_TOLERANCE * params) {
    char text[PLM_SHAPE_TEXT];
    plm_shape_text(text, best);
    return plm_error_set(
        err, PLM_E_USAGE,
        "size \"%.6g\": the nearest shape with heads of %u is %s with %.0f parameters, off by more than 25 %%", params,
        head_size, text, count);
  }
  *out = best;
  return 0;
}

void plm_shape_text(char out[PLM_SHAPE_TEXT], struct plm_shape shape) {
  snprintf(out, PLM_SHAPE_TEXT, "%ux%ux%u", shape.layers, shape.width, shape.heads);
}
