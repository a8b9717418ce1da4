#include "broken.h"

/* The reference's entry function, which the build has renamed. */
const struct plm_plugin_card *broken_reference(void);

struct plm_backend right;
const struct plm_host *broken_host;
struct broken the_broken;

void arm_unbroken(struct broken *self) { (void)self; }

int broken_start(const struct plm_host *host, struct plm_backend *out, struct plm_error *err) {
  struct plm_backend mine;
  unsigned char none[sizeof(void (*)(void))] = {0};
  right.struct_size = sizeof right;
  broken_host = host;
  const int code = broken_reference()->start(host, &right, err);
  if (code)
    return code;
  mine = right;
  for (size_t at = sizeof mine.struct_size; at < sizeof mine; at += sizeof none)
    if (memcmp((const char *)&the_broken.table + at, none, sizeof none))
      memcpy((char *)&mine + at, (const char *)&the_broken.table + at, sizeof none);
  return plm_backend_publish(out, &mine);
}
