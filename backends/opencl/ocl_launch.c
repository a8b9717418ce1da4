/* From an op to commands: arguments, and launches that are cut so that none runs for long. */
#include <inttypes.h>
#include <math.h>

#include "opencl.h"
#include "plmscale/op_rules.h"

void ocl_begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op,
               const struct ocl_kernel *kernel) {
  *launch = (struct ocl_launch){.queue = queue, .op = op, .kernel = kernel};
}

static void arg(struct ocl_launch *launch, size_t bytes, const void *value) {
  const cl_int code = clSetKernelArg(launch->kernel->handle, launch->args++, bytes, value);
  if (code && !launch->code)
    launch->code = code;
}

void ocl_arg_view_at(struct ocl_launch *launch, const struct plm_view *view, uint64_t skip) {
  const cl_mem memory = view->buffer && view->bytes ? view->buffer->memory : NULL;
  const cl_ulong at = memory ? view->offset / 4 + skip : 0;
  arg(launch, sizeof memory, &memory);
  arg(launch, sizeof at, &at);
}

void ocl_arg_view(struct ocl_launch *launch, const struct plm_view *view) { ocl_arg_view_at(launch, view, 0); }

void ocl_arg_u32(struct ocl_launch *launch, uint32_t value) {
  const cl_uint v = value;
  arg(launch, sizeof v, &v);
}

void ocl_arg_u64(struct ocl_launch *launch, uint64_t value) {
  const cl_ulong v = value;
  arg(launch, sizeof v, &v);
}

void ocl_arg_f32(struct ocl_launch *launch, float value) {
  const cl_float v = value;
  arg(launch, sizeof v, &v);
}

/* ---------------------------------------------------------------- faults in the host's data */

static const char *const data_names[OCL_DATA] = {"tokens", "positions", "index", "targets", "offsets"};

/* A tag holds the op's kind, its place and the data's name; never 0. */
#define TAG_KIND_BITS 8
#define TAG_DATA_BITS 4

void ocl_arg_fault(struct ocl_launch *launch, enum ocl_data data) {
  const uint32_t place = launch->op->index < (1u << 18) ? launch->op->index : (1u << 18) - 1;
  const cl_int tag = (cl_int)(place << (TAG_KIND_BITS + TAG_DATA_BITS) | (uint32_t)data << TAG_KIND_BITS | launch->op->kind);
  arg(launch, sizeof launch->queue->faults, &launch->queue->faults);
  arg(launch, sizeof tag, &tag);
  launch->queue->may_fault = 1;
}

int ocl_fault_error(struct plm_error *err, const int32_t fault[4]) {
  const uint32_t tag = (uint32_t)fault[0], data = tag >> TAG_KIND_BITS & ((1u << TAG_DATA_BITS) - 1);
  const struct plm_op op = {.kind = tag & ((1u << TAG_KIND_BITS) - 1),
                            .index = tag >> (TAG_KIND_BITS + TAG_DATA_BITS)};
  const char *name = data < OCL_DATA ? data_names[data] : "data";
  if (fault[3] < -1)
    return plm_rules_error(err, PLM_E_INVALID, &op, "%s[%" PRId32 "] = %" PRId32 ", must be %" PRId32, name, fault[1],
                           fault[2], -2 - fault[3]);
  if (fault[3] < 0)
    return plm_rules_error(err, PLM_E_INVALID, &op, "%s[%" PRId32 "] = %" PRId32 " does not ascend", name, fault[1],
                           fault[2]);
  return plm_rules_error(err, PLM_E_INVALID, &op, "%s[%" PRId32 "] = %" PRId32 " is not in 0..%" PRId64, name, fault[1],
                         fault[2], (int64_t)fault[3] - 1);
}

/* ---------------------------------------------------------------- launches */

uint64_t ocl_pieces(const struct plm_device *device, uint64_t groups, double flops, double bytes) {
  const double seconds = fmax(flops / device->traits.flops_floor, bytes / device->traits.bytes_floor);
  const double wanted = device->launch_seconds > 0 ? ceil(seconds / device->launch_seconds) : 1;
  return wanted <= 1 ? 1 : wanted >= (double)groups ? groups : (uint64_t)wanted;
}

static int enqueue_piece(struct ocl_launch *launch, cl_uint dims, const size_t *offset, const size_t *global,
                         const size_t *local, struct plm_error *err) {
  struct plm_queue *queue = launch->queue;
  cl_event event;
  const int code = ocl_queue_room(queue, err);
  if (code)
    return code;
  const cl_int failed = clEnqueueNDRangeKernel(queue->handle, launch->kernel->handle, dims, offset, global, local, 0, NULL, &event);
  if (failed)
    return ocl_fail(err, queue->device, launch->op, launch->kernel->name, failed,
                    "clEnqueueNDRangeKernel of %zu x %zu x %zu work-items", global[0], dims > 1 ? global[1] : 1,
                    dims > 2 ? global[2] : 1);
  ocl_queue_note(queue, event, launch->op, launch->kernel->name);
  return PLM_OK;
}

int ocl_enqueue(struct ocl_launch *launch, cl_uint dims, const size_t *global, const size_t *local, int axis,
                double flops, double bytes, struct plm_error *err) {
  const struct plm_device *device = launch->queue->device;
  size_t offset[3] = {0, 0, 0}, size[3] = {1, 1, 1};
  if (launch->code)
    return ocl_fail(err, device, launch->op, launch->kernel->name, launch->code, "clSetKernelArg");
  for (cl_uint d = 0; d < dims; d++) {
    if (global[d] == 0)
      return PLM_OK;
    size[d] = global[d];
  }
  const uint64_t groups = axis < 0 ? 1 : global[axis] / local[axis];
  const uint64_t pieces = ocl_pieces(device, groups, flops, bytes);
  if (pieces == 1)
    return enqueue_piece(launch, dims, NULL, size, local, err);
  const uint64_t step = ocl_groups(groups, pieces) * local[axis];
  int code = PLM_OK;
  for (uint64_t at = 0; at < global[axis] && !code; at += step) {
    offset[axis] = at;
    size[axis] = global[axis] - at < step ? global[axis] - at : step;
    code = enqueue_piece(launch, dims, offset, size, local, err);
  }
  return code;
}

/* CHUNK of the prelude. */
static uint64_t chunk(const struct plm_device *device) { return device->traits.policy == OCL_CPU ? 4096 : 4; }

int ocl_enqueue_chunks(struct ocl_launch *launch, uint64_t count, double bytes_each, struct plm_error *err) {
  const struct plm_device *device = launch->queue->device;
  const size_t local = OCL_GROUP_ITEMS(device), global = ocl_up(ocl_groups(count, chunk(device)), local);
  return ocl_enqueue(launch, 1, &global, &local, 0, 0, (double)count * bytes_each, err);
}

int ocl_enqueue_rows(struct ocl_launch *launch, uint64_t rows, double bytes_each, struct plm_error *err) {
  const struct plm_device *device = launch->queue->device;
  const size_t local[2] = {OCL_LANES(device), OCL_ROWS(device)};
  const size_t global[2] = {local[0], ocl_up(rows, local[1])};
  return ocl_enqueue(launch, 2, global, local, 1, 0, (double)rows * bytes_each, err);
}

int ocl_enqueue_columns(struct ocl_launch *launch, uint64_t width, uint32_t each, uint32_t blocks, double bytes_each,
                        struct plm_error *err) {
  const struct plm_device *device = launch->queue->device;
  const size_t local[2] = {OCL_LANES(device), OCL_ROWS(device)};
  const size_t global[2] = {ocl_up(ocl_groups(width, each), local[0]), ocl_up(blocks, local[1])};
  return ocl_enqueue(launch, 2, global, local, 1, 0, (double)width * bytes_each, err);
}
