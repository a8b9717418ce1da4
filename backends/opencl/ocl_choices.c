/* The table of choices, and the extension x_kernels on top of it. The file that keeps them: ocl_choices_file.c. */
#include "ocl_choices.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "plmscale/op_rules.h"

static const struct ocl_family_choices *family_of(uint32_t kind) {
  switch (kind) {
  case PLM_OP_LINEAR:
  case PLM_OP_LINEAR_GRAD_INPUT:
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return &ocl_linear_choices;
  case PLM_OP_ATTENTION:
  case PLM_OP_ATTENTION_GRAD:
    return &ocl_attention_choices;
  default:
    return NULL;
  }
}

/* ------------------------------------------------------------------ keys */

uint64_t ocl_class_rows(uint64_t rows) {
  uint64_t most = 256;
  while (most < rows)
    most *= 4;
  return most;
}

/* The op's row count, to be read and, in a copy, replaced. */
static uint32_t *rows_of(struct plm_op *op) {
  switch (op->kind) {
  case PLM_OP_LINEAR:
    return &op->u.linear.rows.count;
  case PLM_OP_LINEAR_GRAD_INPUT:
    return &op->u.linear_grad_input.rows.count;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    return &op->u.linear_grad_weight.rows.count;
  case PLM_OP_ATTENTION:
    return &op->u.attention.rows.count;
  default:
    return &op->u.attention_grad.rows.count;
  }
}

struct ocl_choice_key ocl_choice_key(const struct plm_op *op) {
  struct plm_op copy = *op;
  struct ocl_choice_key key = {.kind = op->kind, .flags = op->flags, .rows = ocl_class_rows(*rows_of(&copy))};
  switch (op->kind) {
  case PLM_OP_LINEAR:
    key.extent[0] = op->u.linear.in, key.extent[1] = op->u.linear.out;
    break;
  case PLM_OP_LINEAR_GRAD_INPUT:
    key.extent[0] = op->u.linear_grad_input.in, key.extent[1] = op->u.linear_grad_input.out;
    break;
  case PLM_OP_LINEAR_GRAD_WEIGHT:
    key.extent[0] = op->u.linear_grad_weight.in, key.extent[1] = op->u.linear_grad_weight.out;
    break;
  case PLM_OP_ATTENTION:
    key.extent[0] = op->u.attention.heads, key.extent[1] = op->u.attention.head_size;
    key.extent[2] = op->u.attention.length_max;
    break;
  default:
    key.extent[0] = op->u.attention_grad.heads, key.extent[1] = op->u.attention_grad.head_size;
    key.extent[2] = op->u.attention_grad.length_max;
  }
  return key;
}

static int same_key(const struct ocl_choice_key *a, const struct ocl_choice_key *b) {
  return a->kind == b->kind && a->flags == b->flags && a->rows == b->rows &&
         !memcmp(a->extent, b->extent, sizeof a->extent);
}

struct ocl_choice *ocl_choices_find(const struct ocl_choices *choices, const struct ocl_choice_key *key) {
  for (uint32_t i = 0; i < choices->count; i++)
    if (same_key(&choices->items[i].key, key))
      return &choices->items[i];
  return NULL;
}

struct ocl_choice *ocl_choices_add(struct plm_device *device, const struct ocl_choice_key *key, struct plm_error *err) {
  struct ocl_choices *choices = device->choices;
  if (choices->count == choices->room) {
    const uint32_t room = choices->room ? 2 * choices->room : 64;
    struct ocl_choice *items = ocl_allocate(device->host, room * sizeof *items, "kernel choices", err);
    if (!items)
      return NULL;
    if (choices->count)
      memcpy(items, choices->items, choices->count * sizeof *items);
    ocl_release(device->host, choices->items);
    choices->items = items;
    choices->room = room;
  }
  struct ocl_choice *choice = &choices->items[choices->count++];
  *choice = (struct ocl_choice){.key = *key};
  return choice;
}

/* ------------------------------------------------------------------ asking */

/* The place of the implementation that a profile names; said once, and the standard one, when there is none of that name. */
static uint32_t resolve(const struct plm_device *device, const struct ocl_family_choices *family,
                        const struct plm_op *op, struct ocl_choice *choice) {
  char name[PLM_KERNELS_NAME];
  const uint32_t count = family->count(device, op);
  choice->resolved = 1;
  for (choice->which = 0; choice->which < count; choice->which++) {
    family->name(device, op, choice->which, name);
    if (!strcmp(name, choice->name))
      return choice->which;
  }
  ocl_log(device->host, PLM_LOG_WARN, "%s: the profile asks for \"%s\", which is not there; taking the default",
          plm_op_name(op->kind), choice->name);
  return choice->which = family->standard(device, op);
}

uint32_t ocl_chosen(const struct plm_device *device, const struct plm_op *op) {
  const struct ocl_family_choices *family = family_of(op->kind);
  if (!family || family->count(device, op) < 2)
    return 0;
  const struct ocl_choice_key key = ocl_choice_key(op);
  struct ocl_choice *choice = ocl_choices_find(device->choices, &key);
  if (!choice)
    return family->standard(device, op);
  return choice->resolved ? choice->which : resolve(device, family, op, choice);
}

uint64_t ocl_choices_workspace(const struct plm_device *device, const struct plm_op *op,
                               uint64_t (*bytes)(const struct plm_device *device, const struct plm_op *op,
                                                 uint32_t which)) {
  struct plm_op part = *op;
  uint32_t *rows = rows_of(&part);
  const uint32_t most = *rows;
  uint64_t largest = 0;
  for (uint64_t end = 256;; end *= 4) {
    *rows = end < most ? (uint32_t)end : most;
    const uint64_t need = bytes(device, &part, ocl_chosen(device, &part));
    largest = need > largest ? need : largest;
    if (end >= most)
      return largest;
  }
}

/* ------------------------------------------------------------------ x_kernels */

/* The family of an op that the device supports; NULL: there is no choice. */
static int extension_family(const struct ocl_family_choices **out, const struct plm_device *device,
                            const struct plm_op *op, struct plm_error *err) {
  struct plm_verdict verdict;
  const int code = plm_rules_judge(&verdict, op, NULL, err);
  if (code)
    return code;
  if (verdict.status != PLM_VERDICT_SUPPORTED)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "%s", verdict.text);
  *out = family_of(op->kind);
  if (*out && (*out)->count(device, op) == 0)
    return plm_rules_error(err, PLM_E_UNSUPPORTED, op, "no implementation is left by the options");
  return PLM_OK;
}

static int check_which(const struct ocl_family_choices *family, const struct plm_device *device,
                       const struct plm_op *op, uint32_t which, struct plm_error *err) {
  const uint32_t count = family ? family->count(device, op) : 1;
  if (which < count)
    return PLM_OK;
  return plm_rules_error(err, PLM_E_INVALID, op, "implementation %" PRIu32 ": there are %" PRIu32, which, count);
}

static int extension_count(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err) {
  const struct ocl_family_choices *family;
  const int code = extension_family(&family, device, op, err);
  if (!code)
    *out = family ? family->count(device, op) : 1;
  return code;
}

static int extension_name(struct plm_device *device, const struct plm_op *op, uint32_t which,
                          char out[PLM_KERNELS_NAME], struct plm_error *err) {
  const struct ocl_family_choices *family;
  int code = extension_family(&family, device, op, err);
  if (!code)
    code = check_which(family, device, op, which, err);
  if (!code && family)
    family->name(device, op, which, out);
  else if (!code)
    snprintf(out, PLM_KERNELS_NAME, "own");
  return code;
}

static int extension_chosen(struct plm_device *device, const struct plm_op *op, uint32_t *out, struct plm_error *err) {
  const struct ocl_family_choices *family;
  const int code = extension_family(&family, device, op, err);
  if (!code)
    *out = ocl_chosen(device, op);
  return code;
}

static int extension_choose(struct plm_device *device, const struct plm_op *op, uint32_t which, double seconds,
                            struct plm_error *err) {
  const struct ocl_family_choices *family;
  int code = extension_family(&family, device, op, err);
  if (!code)
    code = check_which(family, device, op, which, err);
  if (code || !family)
    return code;
  const struct ocl_choice_key key = ocl_choice_key(op);
  struct ocl_choice *choice = ocl_choices_find(device->choices, &key);
  if (!choice)
    choice = ocl_choices_add(device, &key, err);
  if (!choice)
    return PLM_E_NO_MEMORY;
  family->name(device, op, which, choice->name);
  choice->which = which;
  choice->resolved = 1;
  if (seconds > 0) {
    choice->seconds = seconds;
    choice->keep = 1;
  }
  return PLM_OK;
}

static const char *extension_source(struct plm_device *device) { return device->choices->source; }

const struct plm_kernels_extension ocl_kernels_extension = {
    .struct_size = sizeof ocl_kernels_extension,
    .count = extension_count,
    .name = extension_name,
    .chosen = extension_chosen,
    .choose = extension_choose,
    .save = ocl_choices_save,
    .source = extension_source,
};

/* ------------------------------------------------------------------ with the device */

static const char *const gemm_names[] = {"auto", "own", "clblast", "clblast_tuned"};

static int read_gemm(struct plm_device *device, struct plm_error *err) {
  const char *text = device->host->option(device->host->context, "gemm");
  for (uint32_t i = 0; i < sizeof gemm_names / sizeof *gemm_names; i++)
    if (!strcmp(text, gemm_names[i])) {
      device->gemm = (enum ocl_gemm)i;
      return PLM_OK;
    }
  return plm_rules_error(err, PLM_E_INVALID, NULL, "option gemm \"%s\": must be auto, own, clblast or clblast_tuned", text);
}

int ocl_choices_open(struct plm_device *device, struct plm_error *err) {
  int code = read_gemm(device, err);
  if (code)
    return code;
  device->choices = ocl_allocate(device->host, sizeof *device->choices, "kernel choices", err);
  if (!device->choices)
    return PLM_E_NO_MEMORY;
  snprintf(device->choices->source, sizeof device->choices->source, "default");
  return ocl_choices_load(device, err);
}

void ocl_choices_close(struct plm_device *device) {
  if (!device->choices)
    return;
  ocl_release(device->host, device->choices->items);
  ocl_release(device->host, device->choices);
  device->choices = NULL;
}
