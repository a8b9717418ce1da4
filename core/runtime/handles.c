#include "runtime/handles.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

const char *plm_handle_name(enum plm_handle_kind kind) {
  static const char *const names[] = {"device", "queue", "buffer", "event"};
  return names[kind];
}

void plm_handles_fini(struct plm_handles *handles) {
  free(handles->items);
  memset(handles, 0, sizeof *handles);
}

struct plm_handle *plm_handles_find(const struct plm_handles *handles, enum plm_handle_kind kind, const void *pointer) {
  for (size_t i = 0; i < handles->count; i++)
    if (handles->items[i].pointer == pointer && handles->items[i].kind == kind)
      return &handles->items[i];
  return NULL;
}

int plm_handles_add(struct plm_handle **out, struct plm_handles *handles, enum plm_handle_kind kind, const void *pointer,
                    const void *parent, struct plm_error *err) {
  if (!pointer)
    return plm_error_set(err, PLM_E_INVALID, "validate: the backend says success and gives no %s", plm_handle_name(kind));
  struct plm_handle *entry = plm_handles_find(handles, kind, pointer);
  if (entry && entry->alive) {
    if (kind != PLM_HANDLE_EVENT)
      return plm_error_set(err, PLM_E_INVALID, "validate: the backend gives out %s %llu again while it is in use",
                           plm_handle_name(kind), (unsigned long long)entry->number);
    entry->alive++;
    *out = entry;
    return 0;
  }
  if (!entry) {
    void *items = handles->items;
    if (plm_memory_grow(&items, &handles->capacity, handles->count + 1, sizeof *handles->items))
      return plm_error_memory(err, "noting a handle");
    handles->items = items;
    entry = &handles->items[handles->count++];
  }
  *entry = (struct plm_handle){
      .pointer = pointer, .kind = kind, .alive = 1, .parent = parent, .number = ++handles->numbers[kind]};
  *out = entry;
  return 0;
}

int plm_handles_use(struct plm_handle **out, const struct plm_handles *handles, enum plm_handle_kind kind,
                    const void *pointer, const char *what, struct plm_error *err) {
  struct plm_handle *entry = pointer ? plm_handles_find(handles, kind, pointer) : NULL;
  const char *name = plm_handle_name(kind);
  if (!pointer)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: the %s is NULL", what, name);
  if (!entry)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: %p is no %s of this backend", what, pointer, name);
  if (!entry->alive)
    return plm_error_set(err, PLM_E_INVALID, "validate: %s: %s %llu is destroyed", what, name,
                         (unsigned long long)entry->number);
  *out = entry;
  return 0;
}
