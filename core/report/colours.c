#include "report/colours.h"

struct row {
  const char *variable, *light, *dark;
  unsigned value; /* light */
};

#define ROW(name, light, dark) {"var(--" name ")", "#" #light, "#" #dark, 0x##light}

static const struct row rows[PLM_COLOURS] = {
    [PLM_PAPER] = ROW("paper", fefefe, 14181d),
    [PLM_INK] = ROW("ink", 1b1f24, e8eaed),
    [PLM_MUTED] = ROW("muted", 66707a, 9aa4af),
    [PLM_GRID] = ROW("grid", e3e7eb, 2b323a),
    [PLM_MAIN] = ROW("main", 0072b2, 5cb8f0),
    [PLM_BAND] = ROW("band", cfe5f3, 17405c),
    [PLM_SKY] = ROW("sky", 3a9bd6, 8fd0f7),
    [PLM_GREEN] = ROW("green", 008f6a, 3fd3a5),
    [PLM_ORANGE] = ROW("orange", c98200, f2b544),
    [PLM_VERMILLION] = ROW("vermillion", d55e00, ff8f45),
    [PLM_PURPLE] = ROW("purple", b0578f, e6a1cb),
    [PLM_BELOW_FAR] = ROW("below-far", 2166ac, 4f9fe6),
    [PLM_BELOW] = ROW("below", 8abfdd, 9fd0ea),
    [PLM_NEAR] = ROW("near", c9cdd2, c9cdd1),
    [PLM_ABOVE] = ROW("above", f2a07b, f7b798),
    [PLM_ABOVE_FAR] = ROW("above-far", b2182b, ee5a5f),
    [PLM_RAMP] = ROW("ramp-0", 3d0751, c39be8),
    [PLM_RAMP + 1] = ROW("ramp-1", 45327f, a9a3f0),
    [PLM_RAMP + 2] = ROW("ramp-2", 3a548c, 8fb3f2),
    [PLM_RAMP + 3] = ROW("ramp-3", 2d718e, 7ac6ea),
    [PLM_RAMP + 4] = ROW("ramp-4", 218e8d, 6dd5d6),
    [PLM_RAMP + 5] = ROW("ramp-5", 29a97f, 74e0b4),
    [PLM_RAMP + 6] = ROW("ramp-6", 52b95c, 98e986),
    [PLM_RAMP + 7] = ROW("ramp-7", 7fb52b, c6ee68),
    [PLM_RAMP + 8] = ROW("ramp-8", a9ac00, f2ee60),
};

const char *plm_colour_hex(enum plm_colour colour) { return rows[colour].light; }

unsigned plm_colour_number(enum plm_colour colour) { return rows[colour].value; }

enum plm_colour plm_colour_ramp(size_t index, size_t count) {
  size_t last = PLM_RAMP_STEPS - 1;
  return (enum plm_colour)(PLM_RAMP + (count > 1 ? (index * last + (count - 1) / 2) / (count - 1) : last / 2));
}

const char *plm_colour_variable(unsigned value) {
  for (int i = 0; i < PLM_COLOURS; i++)
    if (rows[i].value == value)
      return rows[i].variable;
  return NULL;
}

void plm_colour_css(struct plm_text *out, int dark) {
  for (int i = 0; i < PLM_COLOURS; i++) {
    const char *name = rows[i].variable + 4; /* after "var(" */
    for (; *name != ')'; name++)
      plm_text_add_bytes(out, name, 1);
    plm_text_add(out, ":%s;", dark ? rows[i].dark : rows[i].light);
  }
}
