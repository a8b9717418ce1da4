/*
 * The opencl backend's own declarations. One file per concern: ocl.c (card, op table), ocl_platform.c (what devices
 * there are), ocl_device.c (open, buffers), ocl_queue.c (order, copies, waiting), ocl_program.c and ocl_cache.c
 * (kernels and their binaries), ocl_launch.c (arguments, splitting), ocl_error.c (what went wrong), and one file per
 * family of ops that binds an op to the kernels of kernels/FAMILY.cl.
 */
#ifndef PLM_OPENCL_H
#define PLM_OPENCL_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>

#include "plmscale/backend.h"

/* ---------------------------------------------------------------- what a device is like */

/*
 * The tile policy. Every kernel source serves both.
 * OCL_CPU: work-groups of one work-item, which owns a register tile or a row; explicit vectors; no local memory, no
 * barriers (PoCL turns a work-group into loops cut at barriers, which spills every register tile).
 * OCL_GPU: work-groups of up to 256 work-items that share rows and tiles through local memory.
 */
enum ocl_policy { OCL_CPU, OCL_GPU };

struct ocl_traits {
  enum ocl_policy policy;
  int is_cpu;             /* CL_DEVICE_TYPE_CPU, whatever the policy */
  uint32_t vector;        /* VW of the kernels: 4, 8 or 16 floats; 4 under OCL_GPU */
  uint32_t compute_units; /* of the device as opened */
  uint32_t clock_mhz;     /* 0: unknown */
  uint64_t work_group_max, local_bytes, buffer_max, memory_bytes;
  uint32_t base_align; /* bytes */
  int fma;             /* CL_FP_FMA: fma() is one instruction */
  int subgroups;       /* cl_khr_subgroups or cl_intel_subgroups */
  double flops_floor, bytes_floor; /* per second, what the slowest of its kind surely does: for ocl_enqueue's splitting */
};

/* ---------------------------------------------------------------- objects */

struct ocl_kernel {
  cl_kernel handle;
  char name[48]; /* for messages */
};

struct ocl_program; /* a built family */
struct ocl_choices; /* ocl_choices.h */

/* Option gemm. */
enum ocl_gemm { OCL_GEMM_AUTO, OCL_GEMM_OWN, OCL_GEMM_CLBLAST, OCL_GEMM_CLBLAST_TUNED };
struct ocl_profile; /* times by kernel */

struct plm_device {
  const struct plm_host *host;
  cl_platform_id platform;
  cl_device_id id;
  int is_part; /* a sub-device that device_close releases */
  cl_context context;
  struct ocl_traits traits;
  char name[128], driver[160]; /* driver: platform, driver version; part of every cache key */
  struct ocl_program *programs;
  struct ocl_choices *choices;
  enum ocl_gemm gemm;
  char *build_options; /* what the user adds to every build */
  char *cache_folder;  /* NULL: no cache */
  double timeout_seconds, launch_seconds;
  int profile;
  uint64_t used; /* bytes in buffers */
};

struct plm_buffer {
  struct plm_device *device;
  cl_mem memory;
  uint64_t bytes;
};

/* A command on its way: what it is, and what may be released once it is done. */
struct ocl_flight {
  cl_event event;
  uint32_t op_kind, op_index;
  const char *what; /* kernel name or "buffer_write"; lives as long as the device */
  void *staging;    /* host memory that the command reads */
  uint64_t staging_bytes;
};

#define OCL_FLIGHTS 4096 /* commands that the host may be ahead of the device */

/* What a waiting host sleeps on: callbacks that were asked for, and that came. */
struct ocl_alarm {
  pthread_mutex_t lock;
  pthread_cond_t ring;
  uint64_t set, rung;
};

struct plm_queue {
  struct plm_device *device;
  cl_command_queue handle;
  struct ocl_flight *flights; /* a ring of OCL_FLIGHTS */
  uint32_t first, count;
  uint64_t staging_bytes;
  cl_mem faults;           /* 4 ints, see ocl_arg_fault */
  int is_stuck;            /* timed out: may never end */
  int may_fault;           /* a kernel that may write to faults was enqueued since they were read */
  struct plm_error sticky; /* first asynchronous failure since the last queue_finish; code 0: none */
  struct ocl_profile *profile;
  struct ocl_alarm alarm;
};

/* ---------------------------------------------------------------- errors (ocl_error.c) */

/* "CL_OUT_OF_RESOURCES", "unknown OpenCL code" for what no header names. */
const char *ocl_code_name(cl_int code);
/* The PLM_E_ that a code stands for. */
int ocl_code_class(cl_int code);
/*
 * Fills *err from a failed OpenCL call and returns its code. what: the call and its object ("clCreateBuffer of 4096
 * bytes"). device, op and kernel, which the message then names, may be NULL.
 */
int ocl_fail(struct plm_error *err, const struct plm_device *device, const struct plm_op *op, const char *kernel,
             cl_int code, const char *what, ...) __attribute__((format(printf, 6, 7)));

/* ---------------------------------------------------------------- the process around a driver (ocl_ambient.c) */

#define OCL_SIGNALS 8

/* Floating-point state and signal handlers, to be put back after calls in which drivers start themselves or compile. */
struct ocl_ambient {
  fenv_t floats;
  struct sigaction actions[OCL_SIGNALS];
};

void ocl_ambient_take(struct ocl_ambient *out);
void ocl_ambient_restore(const struct ocl_ambient *ambient);

/* ---------------------------------------------------------------- devices (ocl_platform.c, ocl_device.c) */

/* One usable device. */
struct ocl_found {
  cl_platform_id platform;
  cl_device_id id;
  struct plm_device_info info;
  char platform_name[128];
};

/*
 * Every usable device of every platform, in the order of the ICD loader; what is not usable is said in the log once and
 * skipped. Looks once per process. *out is borrowed for ever.
 */
int ocl_list(const struct plm_host *host, const struct ocl_found **out, uint32_t *count, struct plm_error *err);

/* One line to the host's log. */
void ocl_log(const struct plm_host *host, uint32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));

void *ocl_allocate(const struct plm_host *host, uint64_t bytes, const char *what, struct plm_error *err); /* zeroed */
void ocl_release(const struct plm_host *host, void *memory);
/* A copy of text in host memory, NULL when there is none left. */
char *ocl_text(const struct plm_host *host, const char *text);

int ocl_device_open(const struct plm_host *host, uint32_t index, struct plm_device **out, struct plm_error *err);
void ocl_device_close(struct plm_device *device);
int ocl_memory_info(struct plm_device *device, uint64_t *used, uint64_t *free_bytes, struct plm_error *err);
int ocl_buffer_create(struct plm_device *device, uint64_t bytes, uint32_t kind, struct plm_buffer **out,
                      struct plm_error *err);
void ocl_buffer_destroy(struct plm_buffer *buffer);
uint64_t ocl_buffer_bytes(const struct plm_buffer *buffer);

/* ---------------------------------------------------------------- queues (ocl_queue.c) */

int ocl_queue_create(struct plm_device *device, struct plm_queue **out, struct plm_error *err);
void ocl_queue_destroy(struct plm_queue *queue);
int ocl_queue_finish(struct plm_queue *queue, struct plm_error *err);
int ocl_buffer_write(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, const void *data,
                     uint64_t bytes, struct plm_error *err);
int ocl_buffer_read(struct plm_queue *queue, struct plm_buffer *buffer, uint64_t offset, void *data, uint64_t bytes,
                    struct plm_error *err);

/*
 * Takes over the event of an enqueued command of op (NULL: none); what must live as long as the device. Room for it
 * must have been made by ocl_queue_room before. Fused libraries hand over the event of their last command.
 */
void ocl_queue_note(struct plm_queue *queue, cl_event event, const struct plm_op *op, const char *what);
/* Waits, if OCL_FLIGHTS commands are under way, until there is room for one more. */
int ocl_queue_room(struct plm_queue *queue, struct plm_error *err);

/* Option profile (ocl_profile.c): adds a command that is done; says the sums in the log. */
void ocl_profile_add(struct plm_queue *queue, const struct ocl_flight *flight);
void ocl_profile_print(const struct plm_queue *queue);

/* ---------------------------------------------------------------- kernels (ocl_program.c, ocl_cache.c) */

/* The sources in kernels/, in the plugin as data (made by embed.cmake). */
struct ocl_source {
  const char *name; /* file name without .cl */
  const char *text; /* ends in NUL */
  size_t bytes;     /* without it */
};
extern const struct ocl_source ocl_sources[];
extern const uint32_t ocl_source_count;
extern const char ocl_sources_hash[]; /* of all sources, hex */

/*
 * A kernel of kernels/FAMILY.cl. options: more text for the compiler, " -DNAME=VALUE ..." or "". Built on first use
 * (PLM_E_BUILD_FAILED with the log's first lines) and kept with the device; the pointer is borrowed until it is closed.
 */
int ocl_kernel(const struct ocl_kernel **out, struct plm_device *device, const char *family, const char *options,
               const char *name, struct plm_error *err);
void ocl_programs_destroy(struct plm_device *device);

/*
 * Program binaries on disk, whole files named by the hash of their key. load gives what was stored under the very same
 * key, to be released with ocl_release, or NULL: a damaged, truncated or foreign file counts as none. store replaces;
 * a folder that cannot be written is said in the log and is no failure.
 */
void *ocl_cache_load(const struct plm_device *device, const char *key, size_t *bytes);
void ocl_cache_store(const struct plm_device *device, const char *key, const void *binary, size_t bytes);
/* Writes a compiler's log to the cache folder; 0 when that is not possible. path: room for PATH_MAX bytes. */
int ocl_cache_log(const struct plm_device *device, const char *key, const char *text, char *path, size_t room);
/* The folder that options and environment ask for, created; NULL: none. In host memory. */
char *ocl_cache_folder(const struct plm_host *host);

/* ---------------------------------------------------------------- launches (ocl_launch.c) */

struct ocl_launch {
  struct plm_queue *queue;
  const struct plm_op *op;
  const struct ocl_kernel *kernel;
  cl_uint args;
  cl_int code; /* of the first argument that was refused */
};

void ocl_begin(struct ocl_launch *launch, struct plm_queue *queue, const struct plm_op *op,
               const struct ocl_kernel *kernel);
/* Two kernel arguments: "__global T *p, ulong at" with at in elements of 4 bytes. An absent view: NULL, 0. */
void ocl_arg_view(struct ocl_launch *launch, const struct plm_view *view);
/* The same, skip elements further on. */
void ocl_arg_view_at(struct ocl_launch *launch, const struct plm_view *view, uint64_t skip);
void ocl_arg_u32(struct ocl_launch *launch, uint32_t value);
void ocl_arg_u64(struct ocl_launch *launch, uint64_t value);
void ocl_arg_f32(struct ocl_launch *launch, float value);

/*
 * Two kernel arguments, FAULT of the prelude, for kernels that read indices: with REPORT(row, value, limit) one of them
 * says that the named data is wrong there, and queue_finish says it to the host. The kernel itself must do no harm.
 */
enum ocl_data { OCL_TOKENS, OCL_POSITIONS, OCL_INDEX, OCL_TARGETS, OCL_OFFSETS, OCL_DATA };
void ocl_arg_fault(struct ocl_launch *launch, enum ocl_data data);
/* PLM_E_INVALID with the text for what a kernel reported: {tag, row, value, limit}. */
int ocl_fault_error(struct plm_error *err, const int32_t fault[4]);

/*
 * Enqueues. local must be the kernel's own work-group size (reqd_work_group_size), global a multiple of it; a global
 * size of 0 launches nothing. flops and bytes: what the whole launch takes about, the larger share of time counts. A
 * launch that might run longer than option launch_seconds (a driver's watchdog, a shared display) is cut along
 * dimension axis, -1: never. The pieces use global work offsets: kernels that are cut take their place from
 * get_global_id or GROUP(axis) of the prelude, never from get_group_id(axis), and learn sizes from arguments.
 */
int ocl_enqueue(struct ocl_launch *launch, cl_uint dims, const size_t *global, const size_t *local, int axis,
                double flops, double bytes, struct plm_error *err);

/* Work-groups of the row kernels; the prelude has the same numbers as macros. */
#define OCL_LANES(device) ((device)->traits.policy == OCL_CPU ? 1u : 32u) /* work-items that share a row */
#define OCL_ROWS(device) ((device)->traits.policy == OCL_CPU ? 1u : 4u)   /* rows of a work-group */
#define OCL_GROUP_ITEMS(device) (OCL_LANES(device) * OCL_ROWS(device))

/* A kernel that is GROUP_OF_CHUNKS and uses FOR_CHUNK. bytes_each: an element's traffic, for ocl_enqueue. */
int ocl_enqueue_chunks(struct ocl_launch *launch, uint64_t count, double bytes_each, struct plm_error *err);
/* GROUP_OF_ROWS: the row is get_global_id(1), LANES work-items each. bytes_each: a row's. */
int ocl_enqueue_rows(struct ocl_launch *launch, uint64_t rows, double bytes_each, struct plm_error *err);
/* GROUP_OF_ROWS: work-item (columns, block) has each of width / each columns. bytes_each: a column's. */
int ocl_enqueue_columns(struct ocl_launch *launch, uint64_t width, uint32_t each, uint32_t blocks, double bytes_each,
                        struct plm_error *err);

/* out[i] += the sum over blocks of workspace[block][count], in order. */
int ocl_sum_partials(struct plm_queue *queue, const struct plm_op *op, const struct plm_view *out, uint32_t blocks,
                     uint64_t count, struct plm_error *err);
/* The same for workspace[block][2][width] and two outputs. */
int ocl_sum_two_partials(struct plm_queue *queue, const struct plm_op *op, const struct plm_view *first,
                         const struct plm_view *second, uint32_t blocks, uint32_t width, struct plm_error *err);

/* ---------------------------------------------------------------- families of ops */

/* Into how many launches so many work-groups are cut. For kernels that share out their work otherwise. */
uint64_t ocl_pieces(const struct plm_device *device, uint64_t groups, double flops, double bytes);

static inline uint64_t ocl_up(uint64_t x, uint64_t step) { return (x + step - 1) / step * step; }
static inline uint64_t ocl_groups(uint64_t x, uint64_t step) { return (x + step - 1) / step; }

/* Enqueues the op's kernels. The op was judged and bound. */
typedef int (*ocl_run_fn)(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
/* Bytes of workspace for the op at its extents, and at all smaller ones of the same fixed extents. */
typedef uint64_t (*ocl_workspace_fn)(const struct plm_device *device, const struct plm_op *op);
/* What the device cannot do though the rules allow it: makes *out a refusal. */
typedef void (*ocl_judge_fn)(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op);

int ocl_embed_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_embed_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
uint64_t ocl_embed_grad_workspace(const struct plm_device *device, const struct plm_op *op);
int ocl_gather_rows_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_scatter_rows_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_rotary_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_attention_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err); /* and attention_grad */
uint64_t ocl_attention_workspace(const struct plm_device *device, const struct plm_op *op);
void ocl_attention_judge(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op);
int ocl_layer_norm_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_layer_norm_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
uint64_t ocl_layer_norm_grad_workspace(const struct plm_device *device, const struct plm_op *op);
int ocl_fill_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_bias_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_bias_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
uint64_t ocl_bias_grad_workspace(const struct plm_device *device, const struct plm_op *op);
int ocl_gelu_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_gelu_grad_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_add_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_linear_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
uint64_t ocl_linear_workspace(const struct plm_device *device, const struct plm_op *op);
void ocl_linear_judge(struct plm_verdict *out, const struct plm_device *device, const struct plm_op *op);
int ocl_softmax_loss_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_reduce_sum_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_record_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
int ocl_grad_norm_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);
uint64_t ocl_grad_norm_workspace(const struct plm_device *device, const struct plm_op *op);
int ocl_adamw_run(struct plm_queue *queue, const struct plm_op *op, struct plm_error *err);

#endif
