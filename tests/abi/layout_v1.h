/*
 * The layout of ABI 1.0, frozen: every struct, field and constant of plmscale/backend.h as it was released.
 * A line here is never changed or removed. A field that a later minor version appends gets its lines in a file of its
 * own (layout_v1_1.h). PLM_GROWS: a struct with struct_size, which a later minor version may lengthen. PLM_SIZE: one
 * whose size never changes, because it stands in arrays or in other structs. Included by a C and a C++ file.
 */
#ifndef PLM_LAYOUT_V1_H
#define PLM_LAYOUT_V1_H

#include <plmscale/backend.h>

/* C99 has no assertion at compile time: declaring an array again with another size says it too. */
#if defined(__cplusplus)
#define PLM_FROZEN(condition) static_assert(condition, #condition)
#else
#define PLM_FROZEN(condition) extern char plm_frozen[(condition) ? 1 : -1]
#endif
#define PLM_SIZE(type, bytes) PLM_FROZEN(sizeof(type) == (bytes))
#define PLM_GROWS(type, bytes) PLM_FROZEN(PLM_ABI_MINOR == 0 ? sizeof(type) == (bytes) : sizeof(type) >= (bytes))
#define PLM_FIELD(type, field, offset, bytes)                                                                          \
  PLM_FROZEN(offsetof(type, field) == (offset) && sizeof(((type *)0)->field) == (bytes))
#define PLM_CONSTANT(constant, value) PLM_FROZEN((constant) == (value))

/* Sizes hold where pointers have 64 bits; the card refuses a plugin of another pointer size. */
PLM_FROZEN(sizeof(void *) == 8);

PLM_GROWS(struct plm_error, 1024);
PLM_FIELD(struct plm_error, struct_size, 0, 8);
PLM_FIELD(struct plm_error, code, 8, 4);
PLM_FIELD(struct plm_error, native_code, 12, 4);
PLM_FIELD(struct plm_error, op_kind, 16, 4);
PLM_FIELD(struct plm_error, reserved, 20, 4);
PLM_FIELD(struct plm_error, text, 24, 1000);

PLM_SIZE(struct plm_view, 32);
PLM_FIELD(struct plm_view, buffer, 0, 8);
PLM_FIELD(struct plm_view, offset, 8, 8);
PLM_FIELD(struct plm_view, bytes, 16, 8);
PLM_FIELD(struct plm_view, type, 24, 4);
PLM_FIELD(struct plm_view, slot, 28, 4);

PLM_SIZE(struct plm_extent, 8);
PLM_FIELD(struct plm_extent, count, 0, 4);
PLM_FIELD(struct plm_extent, symbol, 4, 4);

PLM_SIZE(struct plm_op_fill, 48);
PLM_FIELD(struct plm_op_fill, x, 0, 32);
PLM_FIELD(struct plm_op_fill, count, 32, 8);
PLM_FIELD(struct plm_op_fill, value, 40, 4);
PLM_FIELD(struct plm_op_fill, reserved, 44, 4);

PLM_SIZE(struct plm_op_embed, 144);
PLM_FIELD(struct plm_op_embed, table, 0, 32);
PLM_FIELD(struct plm_op_embed, tokens, 32, 32);
PLM_FIELD(struct plm_op_embed, scale, 64, 32);
PLM_FIELD(struct plm_op_embed, y, 96, 32);
PLM_FIELD(struct plm_op_embed, rows, 128, 8);
PLM_FIELD(struct plm_op_embed, vocabulary, 136, 4);
PLM_FIELD(struct plm_op_embed, width, 140, 4);

PLM_SIZE(struct plm_op_embed_grad, 144);
PLM_FIELD(struct plm_op_embed_grad, dy, 0, 32);
PLM_FIELD(struct plm_op_embed_grad, tokens, 32, 32);
PLM_FIELD(struct plm_op_embed_grad, scale, 64, 32);
PLM_FIELD(struct plm_op_embed_grad, dtable, 96, 32);
PLM_FIELD(struct plm_op_embed_grad, rows, 128, 8);
PLM_FIELD(struct plm_op_embed_grad, vocabulary, 136, 4);
PLM_FIELD(struct plm_op_embed_grad, width, 140, 4);

PLM_SIZE(struct plm_op_layer_norm, 208);
PLM_FIELD(struct plm_op_layer_norm, x, 0, 32);
PLM_FIELD(struct plm_op_layer_norm, gamma, 32, 32);
PLM_FIELD(struct plm_op_layer_norm, beta, 64, 32);
PLM_FIELD(struct plm_op_layer_norm, y, 96, 32);
PLM_FIELD(struct plm_op_layer_norm, mean, 128, 32);
PLM_FIELD(struct plm_op_layer_norm, rstd, 160, 32);
PLM_FIELD(struct plm_op_layer_norm, rows, 192, 8);
PLM_FIELD(struct plm_op_layer_norm, width, 200, 4);
PLM_FIELD(struct plm_op_layer_norm, epsilon, 204, 4);

PLM_SIZE(struct plm_op_layer_norm_grad, 272);
PLM_FIELD(struct plm_op_layer_norm_grad, dy, 0, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, x, 32, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, gamma, 64, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, mean, 96, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, rstd, 128, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, dx, 160, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, dgamma, 192, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, dbeta, 224, 32);
PLM_FIELD(struct plm_op_layer_norm_grad, rows, 256, 8);
PLM_FIELD(struct plm_op_layer_norm_grad, width, 264, 4);
PLM_FIELD(struct plm_op_layer_norm_grad, reserved, 268, 4);

PLM_SIZE(struct plm_op_linear, 208);
PLM_FIELD(struct plm_op_linear, x, 0, 32);
PLM_FIELD(struct plm_op_linear, w, 32, 32);
PLM_FIELD(struct plm_op_linear, bias, 64, 32);
PLM_FIELD(struct plm_op_linear, residual, 96, 32);
PLM_FIELD(struct plm_op_linear, y, 128, 32);
PLM_FIELD(struct plm_op_linear, pre, 160, 32);
PLM_FIELD(struct plm_op_linear, rows, 192, 8);
PLM_FIELD(struct plm_op_linear, in, 200, 4);
PLM_FIELD(struct plm_op_linear, out, 204, 4);

PLM_SIZE(struct plm_op_linear_grad_input, 144);
PLM_FIELD(struct plm_op_linear_grad_input, dy, 0, 32);
PLM_FIELD(struct plm_op_linear_grad_input, w, 32, 32);
PLM_FIELD(struct plm_op_linear_grad_input, pre, 64, 32);
PLM_FIELD(struct plm_op_linear_grad_input, dx, 96, 32);
PLM_FIELD(struct plm_op_linear_grad_input, rows, 128, 8);
PLM_FIELD(struct plm_op_linear_grad_input, in, 136, 4);
PLM_FIELD(struct plm_op_linear_grad_input, out, 140, 4);

PLM_SIZE(struct plm_op_linear_grad_weight, 144);
PLM_FIELD(struct plm_op_linear_grad_weight, dy, 0, 32);
PLM_FIELD(struct plm_op_linear_grad_weight, x, 32, 32);
PLM_FIELD(struct plm_op_linear_grad_weight, dw, 64, 32);
PLM_FIELD(struct plm_op_linear_grad_weight, dbias, 96, 32);
PLM_FIELD(struct plm_op_linear_grad_weight, rows, 128, 8);
PLM_FIELD(struct plm_op_linear_grad_weight, in, 136, 4);
PLM_FIELD(struct plm_op_linear_grad_weight, out, 140, 4);

PLM_SIZE(struct plm_op_bias, 80);
PLM_FIELD(struct plm_op_bias, y, 0, 32);
PLM_FIELD(struct plm_op_bias, bias, 32, 32);
PLM_FIELD(struct plm_op_bias, rows, 64, 8);
PLM_FIELD(struct plm_op_bias, width, 72, 4);
PLM_FIELD(struct plm_op_bias, reserved, 76, 4);

PLM_SIZE(struct plm_op_bias_grad, 80);
PLM_FIELD(struct plm_op_bias_grad, dy, 0, 32);
PLM_FIELD(struct plm_op_bias_grad, dbias, 32, 32);
PLM_FIELD(struct plm_op_bias_grad, rows, 64, 8);
PLM_FIELD(struct plm_op_bias_grad, width, 72, 4);
PLM_FIELD(struct plm_op_bias_grad, reserved, 76, 4);

PLM_SIZE(struct plm_op_gelu, 80);
PLM_FIELD(struct plm_op_gelu, x, 0, 32);
PLM_FIELD(struct plm_op_gelu, y, 32, 32);
PLM_FIELD(struct plm_op_gelu, rows, 64, 8);
PLM_FIELD(struct plm_op_gelu, width, 72, 4);
PLM_FIELD(struct plm_op_gelu, reserved, 76, 4);

PLM_SIZE(struct plm_op_gelu_grad, 112);
PLM_FIELD(struct plm_op_gelu_grad, dy, 0, 32);
PLM_FIELD(struct plm_op_gelu_grad, x, 32, 32);
PLM_FIELD(struct plm_op_gelu_grad, dx, 64, 32);
PLM_FIELD(struct plm_op_gelu_grad, rows, 96, 8);
PLM_FIELD(struct plm_op_gelu_grad, width, 104, 4);
PLM_FIELD(struct plm_op_gelu_grad, reserved, 108, 4);

PLM_SIZE(struct plm_op_add, 112);
PLM_FIELD(struct plm_op_add, a, 0, 32);
PLM_FIELD(struct plm_op_add, b, 32, 32);
PLM_FIELD(struct plm_op_add, y, 64, 32);
PLM_FIELD(struct plm_op_add, rows, 96, 8);
PLM_FIELD(struct plm_op_add, width, 104, 4);
PLM_FIELD(struct plm_op_add, reserved, 108, 4);

PLM_SIZE(struct plm_op_rotary, 152);
PLM_FIELD(struct plm_op_rotary, qkv, 0, 32);
PLM_FIELD(struct plm_op_rotary, positions, 32, 32);
PLM_FIELD(struct plm_op_rotary, cosine, 64, 32);
PLM_FIELD(struct plm_op_rotary, sine, 96, 32);
PLM_FIELD(struct plm_op_rotary, rows, 128, 8);
PLM_FIELD(struct plm_op_rotary, heads, 136, 4);
PLM_FIELD(struct plm_op_rotary, head_size, 140, 4);
PLM_FIELD(struct plm_op_rotary, table_rows, 144, 4);
PLM_FIELD(struct plm_op_rotary, reserved, 148, 4);

PLM_SIZE(struct plm_op_attention, 264);
PLM_FIELD(struct plm_op_attention, qkv, 0, 32);
PLM_FIELD(struct plm_op_attention, offsets, 32, 32);
PLM_FIELD(struct plm_op_attention, positions, 64, 32);
PLM_FIELD(struct plm_op_attention, cosine, 96, 32);
PLM_FIELD(struct plm_op_attention, sine, 128, 32);
PLM_FIELD(struct plm_op_attention, o, 160, 32);
PLM_FIELD(struct plm_op_attention, lse, 192, 32);
PLM_FIELD(struct plm_op_attention, rows, 224, 8);
PLM_FIELD(struct plm_op_attention, sequences, 232, 8);
PLM_FIELD(struct plm_op_attention, heads, 240, 4);
PLM_FIELD(struct plm_op_attention, head_size, 244, 4);
PLM_FIELD(struct plm_op_attention, length_max, 248, 4);
PLM_FIELD(struct plm_op_attention, table_rows, 252, 4);
PLM_FIELD(struct plm_op_attention, scale, 256, 4);
PLM_FIELD(struct plm_op_attention, reserved, 260, 4);

PLM_SIZE(struct plm_op_attention_grad, 328);
PLM_FIELD(struct plm_op_attention_grad, qkv, 0, 32);
PLM_FIELD(struct plm_op_attention_grad, offsets, 32, 32);
PLM_FIELD(struct plm_op_attention_grad, positions, 64, 32);
PLM_FIELD(struct plm_op_attention_grad, cosine, 96, 32);
PLM_FIELD(struct plm_op_attention_grad, sine, 128, 32);
PLM_FIELD(struct plm_op_attention_grad, o, 160, 32);
PLM_FIELD(struct plm_op_attention_grad, lse, 192, 32);
PLM_FIELD(struct plm_op_attention_grad, d_o, 224, 32);
PLM_FIELD(struct plm_op_attention_grad, dqkv, 256, 32);
PLM_FIELD(struct plm_op_attention_grad, rows, 288, 8);
PLM_FIELD(struct plm_op_attention_grad, sequences, 296, 8);
PLM_FIELD(struct plm_op_attention_grad, heads, 304, 4);
PLM_FIELD(struct plm_op_attention_grad, head_size, 308, 4);
PLM_FIELD(struct plm_op_attention_grad, length_max, 312, 4);
PLM_FIELD(struct plm_op_attention_grad, table_rows, 316, 4);
PLM_FIELD(struct plm_op_attention_grad, scale, 320, 4);
PLM_FIELD(struct plm_op_attention_grad, reserved, 324, 4);

PLM_SIZE(struct plm_op_gather_rows, 120);
PLM_FIELD(struct plm_op_gather_rows, x, 0, 32);
PLM_FIELD(struct plm_op_gather_rows, index, 32, 32);
PLM_FIELD(struct plm_op_gather_rows, y, 64, 32);
PLM_FIELD(struct plm_op_gather_rows, rows, 96, 8);
PLM_FIELD(struct plm_op_gather_rows, source, 104, 8);
PLM_FIELD(struct plm_op_gather_rows, width, 112, 4);
PLM_FIELD(struct plm_op_gather_rows, reserved, 116, 4);

PLM_SIZE(struct plm_op_scatter_rows, 120);
PLM_FIELD(struct plm_op_scatter_rows, x, 0, 32);
PLM_FIELD(struct plm_op_scatter_rows, index, 32, 32);
PLM_FIELD(struct plm_op_scatter_rows, y, 64, 32);
PLM_FIELD(struct plm_op_scatter_rows, rows, 96, 8);
PLM_FIELD(struct plm_op_scatter_rows, target, 104, 8);
PLM_FIELD(struct plm_op_scatter_rows, width, 112, 4);
PLM_FIELD(struct plm_op_scatter_rows, reserved, 116, 4);

PLM_SIZE(struct plm_op_softmax_loss, 176);
PLM_FIELD(struct plm_op_softmax_loss, logits, 0, 32);
PLM_FIELD(struct plm_op_softmax_loss, targets, 32, 32);
PLM_FIELD(struct plm_op_softmax_loss, scale, 64, 32);
PLM_FIELD(struct plm_op_softmax_loss, loss, 96, 32);
PLM_FIELD(struct plm_op_softmax_loss, dlogits, 128, 32);
PLM_FIELD(struct plm_op_softmax_loss, rows, 160, 8);
PLM_FIELD(struct plm_op_softmax_loss, vocabulary, 168, 4);
PLM_FIELD(struct plm_op_softmax_loss, reserved, 172, 4);

PLM_SIZE(struct plm_op_reduce_sum, 104);
PLM_FIELD(struct plm_op_reduce_sum, x, 0, 32);
PLM_FIELD(struct plm_op_reduce_sum, weights, 32, 32);
PLM_FIELD(struct plm_op_reduce_sum, out, 64, 32);
PLM_FIELD(struct plm_op_reduce_sum, rows, 96, 8);

PLM_SIZE(struct plm_op_grad_norm, 80);
PLM_FIELD(struct plm_op_grad_norm, grads, 0, 32);
PLM_FIELD(struct plm_op_grad_norm, out, 32, 32);
PLM_FIELD(struct plm_op_grad_norm, count, 64, 8);
PLM_FIELD(struct plm_op_grad_norm, norm_max, 72, 4);
PLM_FIELD(struct plm_op_grad_norm, reserved, 76, 4);

PLM_SIZE(struct plm_op_adamw, 224);
PLM_FIELD(struct plm_op_adamw, params, 0, 32);
PLM_FIELD(struct plm_op_adamw, grads, 32, 32);
PLM_FIELD(struct plm_op_adamw, m, 64, 32);
PLM_FIELD(struct plm_op_adamw, v, 96, 32);
PLM_FIELD(struct plm_op_adamw, control, 128, 32);
PLM_FIELD(struct plm_op_adamw, schedule, 160, 32);
PLM_FIELD(struct plm_op_adamw, count, 192, 8);
PLM_FIELD(struct plm_op_adamw, beta1, 200, 4);
PLM_FIELD(struct plm_op_adamw, beta2, 204, 4);
PLM_FIELD(struct plm_op_adamw, epsilon, 208, 4);
PLM_FIELD(struct plm_op_adamw, decay, 212, 4);
PLM_FIELD(struct plm_op_adamw, rate_scale, 216, 4);
PLM_FIELD(struct plm_op_adamw, reserved, 220, 4);

PLM_SIZE(struct plm_op_record, 104);
PLM_FIELD(struct plm_op_record, x, 0, 32);
PLM_FIELD(struct plm_op_record, index, 32, 32);
PLM_FIELD(struct plm_op_record, log, 64, 32);
PLM_FIELD(struct plm_op_record, count, 96, 4);
PLM_FIELD(struct plm_op_record, capacity, 100, 4);

PLM_SIZE(struct plm_op, 504);
PLM_FIELD(struct plm_op, struct_size, 0, 8);
PLM_FIELD(struct plm_op, kind, 8, 4);
PLM_FIELD(struct plm_op, flags, 12, 4);
PLM_FIELD(struct plm_op, index, 16, 4);
PLM_FIELD(struct plm_op, type, 20, 4);
PLM_FIELD(struct plm_op, workspace, 24, 32);
PLM_FIELD(struct plm_op, u, 56, 448);

PLM_GROWS(struct plm_verdict, 136);
PLM_FIELD(struct plm_verdict, struct_size, 0, 8);
PLM_FIELD(struct plm_verdict, status, 8, 4);
PLM_FIELD(struct plm_verdict, reason, 12, 4);
PLM_FIELD(struct plm_verdict, workspace_bytes, 16, 8);
PLM_FIELD(struct plm_verdict, deterministic, 24, 4);
PLM_FIELD(struct plm_verdict, preference, 28, 4);
PLM_FIELD(struct plm_verdict, text, 32, 104);

PLM_GROWS(struct plm_option, 56);
PLM_FIELD(struct plm_option, struct_size, 0, 8);
PLM_FIELD(struct plm_option, name, 8, 8);
PLM_FIELD(struct plm_option, default_value, 16, 8);
PLM_FIELD(struct plm_option, help, 24, 8);
PLM_FIELD(struct plm_option, minimum, 32, 8);
PLM_FIELD(struct plm_option, maximum, 40, 8);
PLM_FIELD(struct plm_option, type, 48, 4);
PLM_FIELD(struct plm_option, reserved, 52, 4);

PLM_GROWS(struct plm_host, 72);
PLM_FIELD(struct plm_host, struct_size, 0, 8);
PLM_FIELD(struct plm_host, abi_major, 8, 4);
PLM_FIELD(struct plm_host, abi_minor, 12, 4);
PLM_FIELD(struct plm_host, context, 16, 8);
PLM_FIELD(struct plm_host, log, 24, 8);
PLM_FIELD(struct plm_host, option, 32, 8);
PLM_FIELD(struct plm_host, allocate, 40, 8);
PLM_FIELD(struct plm_host, release, 48, 8);
PLM_FIELD(struct plm_host, threads, 56, 8);
PLM_FIELD(struct plm_host, clock, 64, 8);

PLM_GROWS(struct plm_device_info, 488);
PLM_FIELD(struct plm_device_info, struct_size, 0, 8);
PLM_FIELD(struct plm_device_info, kind, 8, 4);
PLM_FIELD(struct plm_device_info, compute_units, 12, 4);
PLM_FIELD(struct plm_device_info, memory_bytes, 16, 8);
PLM_FIELD(struct plm_device_info, buffer_bytes_max, 24, 8);
PLM_FIELD(struct plm_device_info, cache_bytes, 32, 8);
PLM_FIELD(struct plm_device_info, id, 40, 64);
PLM_FIELD(struct plm_device_info, name, 104, 128);
PLM_FIELD(struct plm_device_info, vendor, 232, 64);
PLM_FIELD(struct plm_device_info, driver, 296, 64);
PLM_FIELD(struct plm_device_info, driver_version, 360, 128);

PLM_GROWS(struct plm_backend, 160);
PLM_FIELD(struct plm_backend, struct_size, 0, 8);
PLM_FIELD(struct plm_backend, device_count, 8, 8);
PLM_FIELD(struct plm_backend, device_info, 16, 8);
PLM_FIELD(struct plm_backend, device_open, 24, 8);
PLM_FIELD(struct plm_backend, device_close, 32, 8);
PLM_FIELD(struct plm_backend, buffer_create, 40, 8);
PLM_FIELD(struct plm_backend, buffer_destroy, 48, 8);
PLM_FIELD(struct plm_backend, queue_create, 56, 8);
PLM_FIELD(struct plm_backend, queue_destroy, 64, 8);
PLM_FIELD(struct plm_backend, queue_finish, 72, 8);
PLM_FIELD(struct plm_backend, buffer_write, 80, 8);
PLM_FIELD(struct plm_backend, buffer_read, 88, 8);
PLM_FIELD(struct plm_backend, op_query, 96, 8);
PLM_FIELD(struct plm_backend, op_run, 104, 8);
PLM_FIELD(struct plm_backend, program_run, 112, 8);
PLM_FIELD(struct plm_backend, event_record, 120, 8);
PLM_FIELD(struct plm_backend, event_wait, 128, 8);
PLM_FIELD(struct plm_backend, event_destroy, 136, 8);
PLM_FIELD(struct plm_backend, memory_info, 144, 8);
PLM_FIELD(struct plm_backend, extension, 152, 8);

PLM_GROWS(struct plm_plugin_card, 112);
PLM_FIELD(struct plm_plugin_card, magic, 0, 8);
PLM_FIELD(struct plm_plugin_card, struct_size, 8, 8);
PLM_FIELD(struct plm_plugin_card, abi_major, 16, 4);
PLM_FIELD(struct plm_plugin_card, abi_minor, 20, 4);
PLM_FIELD(struct plm_plugin_card, endian_probe, 24, 4);
PLM_FIELD(struct plm_plugin_card, pointer_size, 28, 4);
PLM_FIELD(struct plm_plugin_card, op_count, 32, 4);
PLM_FIELD(struct plm_plugin_card, build_flags, 36, 4);
PLM_FIELD(struct plm_plugin_card, name, 40, 8);
PLM_FIELD(struct plm_plugin_card, version, 48, 8);
PLM_FIELD(struct plm_plugin_card, license, 56, 8);
PLM_FIELD(struct plm_plugin_card, vendor, 64, 8);
PLM_FIELD(struct plm_plugin_card, url, 72, 8);
PLM_FIELD(struct plm_plugin_card, compiler, 80, 8);
PLM_FIELD(struct plm_plugin_card, options, 88, 8);
PLM_FIELD(struct plm_plugin_card, option_count, 96, 4);
PLM_FIELD(struct plm_plugin_card, option_stride, 100, 4);
PLM_FIELD(struct plm_plugin_card, start, 104, 8);

PLM_CONSTANT(PLM_ABI_MAJOR, 1u);
PLM_CONSTANT(PLM_PLUGIN_MAGIC, 0x314e4c5041435350ull);
PLM_CONSTANT(PLM_ENDIAN_PROBE, 0x01020304u);
PLM_CONSTANT(PLM_OK, 0);
PLM_CONSTANT(PLM_E_INVALID, 1);
PLM_CONSTANT(PLM_E_UNSUPPORTED, 2);
PLM_CONSTANT(PLM_E_NO_MEMORY, 3);
PLM_CONSTANT(PLM_E_BUILD_FAILED, 4);
PLM_CONSTANT(PLM_E_DEVICE_LOST, 5);
PLM_CONSTANT(PLM_E_TIMEOUT, 6);
PLM_CONSTANT(PLM_E_ABI, 7);
PLM_CONSTANT(PLM_E_INTERNAL, 8);
PLM_CONSTANT(PLM_ERROR_TEXT, 1000);
PLM_CONSTANT(PLM_TYPE_F32, 1u);
PLM_CONSTANT(PLM_TYPE_I32, 2u);
PLM_CONSTANT(PLM_DEVICE_CPU, 1u);
PLM_CONSTANT(PLM_DEVICE_GPU, 2u);
PLM_CONSTANT(PLM_DEVICE_OTHER, 3u);
PLM_CONSTANT(PLM_BUFFER_DEVICE, 1u);
PLM_CONSTANT(PLM_BUFFER_UPLOAD, 2u);
PLM_CONSTANT(PLM_LOG_ERROR, 1u);
PLM_CONSTANT(PLM_LOG_WARN, 2u);
PLM_CONSTANT(PLM_LOG_INFO, 3u);
PLM_CONSTANT(PLM_LOG_DEBUG, 4u);
PLM_CONSTANT(PLM_EXTENT_FIXED, 0u);
PLM_CONSTANT(PLM_EXTENT_TOKENS, 1u);
PLM_CONSTANT(PLM_EXTENT_SEQUENCES, 2u);
PLM_CONSTANT(PLM_EXTENT_MASKED, 3u);
PLM_CONSTANT(PLM_OP_FILL, 1u);
PLM_CONSTANT(PLM_OP_EMBED, 2u);
PLM_CONSTANT(PLM_OP_EMBED_GRAD, 3u);
PLM_CONSTANT(PLM_OP_LAYER_NORM, 4u);
PLM_CONSTANT(PLM_OP_LAYER_NORM_GRAD, 5u);
PLM_CONSTANT(PLM_OP_LINEAR, 6u);
PLM_CONSTANT(PLM_OP_LINEAR_GRAD_INPUT, 7u);
PLM_CONSTANT(PLM_OP_LINEAR_GRAD_WEIGHT, 8u);
PLM_CONSTANT(PLM_OP_BIAS, 9u);
PLM_CONSTANT(PLM_OP_BIAS_GRAD, 10u);
PLM_CONSTANT(PLM_OP_GELU, 11u);
PLM_CONSTANT(PLM_OP_GELU_GRAD, 12u);
PLM_CONSTANT(PLM_OP_ADD, 13u);
PLM_CONSTANT(PLM_OP_ROTARY, 14u);
PLM_CONSTANT(PLM_OP_ATTENTION, 15u);
PLM_CONSTANT(PLM_OP_ATTENTION_GRAD, 16u);
PLM_CONSTANT(PLM_OP_GATHER_ROWS, 17u);
PLM_CONSTANT(PLM_OP_SCATTER_ROWS, 18u);
PLM_CONSTANT(PLM_OP_SOFTMAX_LOSS, 19u);
PLM_CONSTANT(PLM_OP_REDUCE_SUM, 20u);
PLM_CONSTANT(PLM_OP_GRAD_NORM, 21u);
PLM_CONSTANT(PLM_OP_ADAMW, 22u);
PLM_CONSTANT(PLM_OP_RECORD, 23u);
PLM_FROZEN(PLM_OP_COUNT >= 24u); /* new ids are appended */
PLM_CONSTANT(PLM_FLAG_ACCUMULATE, 1u);
PLM_CONSTANT(PLM_FLAG_BIAS, 2u);
PLM_CONSTANT(PLM_FLAG_GELU, 4u);
PLM_CONSTANT(PLM_FLAG_RESIDUAL, 8u);
PLM_CONSTANT(PLM_FLAG_CAUSAL, 16u);
PLM_CONSTANT(PLM_FLAG_ROTARY, 32u);
PLM_CONSTANT(PLM_FLAG_INVERSE, 64u);
PLM_CONSTANT(PLM_FLAG_GRADIENT, 128u);
PLM_CONSTANT(PLM_OP_BODY, 448);
PLM_CONSTANT(PLM_VERDICT_SUPPORTED, 1u);
PLM_CONSTANT(PLM_VERDICT_UNSUPPORTED, 2u);
PLM_CONSTANT(PLM_REASON_NONE, 0u);
PLM_CONSTANT(PLM_REASON_UNKNOWN_OP, 1u);
PLM_CONSTANT(PLM_REASON_FLAG, 2u);
PLM_CONSTANT(PLM_REASON_SHAPE, 3u);
PLM_CONSTANT(PLM_REASON_TYPE, 4u);
PLM_CONSTANT(PLM_REASON_DEVICE, 5u);
PLM_CONSTANT(PLM_OPTION_TEXT, 1u);
PLM_CONSTANT(PLM_OPTION_INTEGER, 2u);
PLM_CONSTANT(PLM_OPTION_REAL, 3u);
PLM_CONSTANT(PLM_OPTION_BOOLEAN, 4u);
PLM_CONSTANT(PLM_BUILD_FAST_MATH, 1u);

#endif
