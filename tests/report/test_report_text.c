/* Escaping, and the parts of a page: axes, labels, colours, what gnuplot drew. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/axis.h"
#include "report/colours.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/svg.h"

static void assert_escaped(const char *text, const char *wanted) {
  struct plm_text out = {0};
  plm_html_escape(&out, text);
  plm_text_add(&out, "%s", "");
  assert_string_equal(out.data, wanted);
  plm_text_fini(&out);
}

static void test_html__escapes_what_could_be_markup(void **state) {
  (void)state;
  assert_escaped("<script>&\"'`", "&lt;script&gt;&amp;&quot;&#39;&#96;");
  assert_escaped("&amp;", "&amp;amp;");
  assert_escaped("a\tb\nc", "a\tb\nc");
  assert_escaped("ü ∑ 😀", "ü ∑ 😀");
}

static void test_html__replaces_what_is_no_text(void **state) {
  (void)state;
  assert_escaped("\x1b[31m\x01\x7f", "\ufffd[31m\ufffd\ufffd");
  assert_escaped("\xff\xfe", "\ufffd\ufffd");
  assert_escaped("\xc3", "\ufffd");             /* cut short */
  assert_escaped("\xc0\xbc", "\ufffd\ufffd");   /* overlong '<' */
  assert_escaped("\xe0\x80\xbc", "\ufffd\ufffd\ufffd");
  assert_escaped("\xed\xa0\x80", "\ufffd\ufffd\ufffd"); /* a surrogate */
  assert_escaped("\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd");
  assert_escaped("\xc2\x85x", "\ufffdx");       /* C1 */
}

static void test_html__cells_hold_long_texts(void **state) {
  (void)state;
  struct plm_text out = {0};
  char *text = calloc(1, 100001);
  assert_non_null(text);
  memset(text, '<', 100000);
  plm_html_cell(&out, "n", "%s", text);
  assert_int_equal(out.length, strlen("<td class=\"n\"></td>") + 4 * 100000);
  assert_int_equal(plm_text_check(&out, "", NULL), 0);
  plm_text_fini(&out);
  free(text);
}

static void test_figure__words_cannot_leave_their_column(void **state) {
  (void)state;
  char out[PLM_FIGURE_WORD];
  assert_string_equal(plm_figure_word(out, "a\tb\nc\\n\"d\"'e'`f`"), "a?b?c?n?d??e??f?");
  plm_figure_word(out, "0123456789012345678901234567890123456789012345678901234567890");
  assert_true(strlen(out) < PLM_FIGURE_WORD && strstr(out, "…"));
}

static void assert_number(const char *(*say)(char *, double), double value, const char *wanted) {
  char out[PLM_AXIS_TEXT];
  assert_string_equal(say(out, value), wanted);
}

static void test_axis__says_numbers_shortly(void **state) {
  (void)state;
  assert_number(plm_axis_count_text, 3590, "3.59k");
  assert_number(plm_axis_count_text, 999.6, "1k");
  assert_number(plm_axis_count_text, 2e10, "20B");
  assert_number(plm_axis_count_text, 0.0005, "0.0005");
  assert_number(plm_axis_count_text, 0, "0");
  assert_number(plm_axis_power_text, 1e12, "10¹²");
  assert_number(plm_axis_power_text, 5e11, "5\u00a0×\u00a010¹¹");
  assert_number(plm_axis_power_text, 9.999e11, "10¹²");
  assert_number(plm_axis_power_text, 1e-3, "10⁻³");
}

/* Labels of the tics that are written: the first and the last lie within the range, and there are at least two. */
static void test_axis__every_range_has_two_labels(void **state) {
  (void)state;
  for (int kind = PLM_AXIS_LINEAR; kind <= PLM_AXIS_FACTOR; kind++)
    for (double span = 1.3; span < 1e9; span *= 1.7) {
      struct plm_axis axis = plm_axis_empty((enum plm_axis_kind)kind);
      struct plm_text script = {0};
      plm_axis_cover(&axis, kind == PLM_AXIS_FACTOR ? 1 / span : 3e5);
      plm_axis_cover(&axis, kind == PLM_AXIS_FACTOR ? span : 3e5 * span);
      plm_axis_pad(&axis, 0.05, 0.05);
      plm_axis_write(&script, &axis, 'x', 8);
      size_t labels = 0;
      for (const char *at = script.data; (at = strstr(at, " 0,")) != NULL; at++)
        labels++;
      for (const char *at = script.data; (at = strstr(at, " 0)")) != NULL; at++)
        labels++;
      if (kind != PLM_AXIS_LINEAR && (labels < 2 || labels > 13))
        fail_msg("kind %d span %g: %zu labels in %s", kind, span, labels, script.data);
      assert_null(strstr(script.data, "nan"));
      assert_null(strstr(script.data, "inf"));
      plm_text_fini(&script);
    }
}

static void test_axis__ignores_what_it_cannot_show(void **state) {
  (void)state;
  struct plm_axis axis = plm_axis_empty(PLM_AXIS_COUNT);
  plm_axis_cover(&axis, -1);
  plm_axis_cover(&axis, 0);
  plm_axis_cover(&axis, (double)NAN);
  plm_axis_cover(&axis, (double)INFINITY);
  assert_true(axis.low > axis.high);
  plm_axis_pad(&axis, 0.1, 0.1);
  assert_true(axis.low > 0 && axis.low < axis.high);
  axis = plm_axis_empty(PLM_AXIS_LINEAR);
  plm_axis_cover(&axis, 2.5);
  plm_axis_pad(&axis, 0.1, 0.1);
  assert_true(axis.low < 2.5 && axis.high > 2.5);
}

static void test_axis__labels_keep_their_distance(void **state) {
  (void)state;
  double places[6] = {0.5, 0.5, 0.5, 0.51, 0.99, 0.995};
  plm_axis_spread(places, 6, 0.05, 0.01, 0.99);
  for (int i = 1; i < 6; i++)
    assert_true(places[i] - places[i - 1] > 0.0499);
  assert_true(places[0] > 0.3 && places[5] <= 0.99 + 1e-6);
  double many[100] = {0};
  plm_axis_spread(many, 100, 0.05, 0, 1); /* more than fit: even */
  assert_true(many[99] <= 1 + 1e-3 && many[1] > many[0]);
  double far[3] = {0.1, 0.5, 0.9};
  plm_axis_spread(far, 3, 0.05, 0, 1);
  assert_true(far[0] == 0.1 && far[1] == 0.5 && far[2] == 0.9);
}

static void test_colours__are_distinct_and_found_again(void **state) {
  (void)state;
  for (int i = 0; i < PLM_COLOURS; i++) {
    for (int k = 0; k < i; k++)
      assert_int_not_equal(plm_colour_number((enum plm_colour)i), plm_colour_number((enum plm_colour)k));
    assert_non_null(plm_colour_variable(plm_colour_number((enum plm_colour)i)));
  }
  assert_null(plm_colour_variable(0x123456));
  assert_int_equal(plm_colour_ramp(0, 5), PLM_RAMP);
  assert_int_equal(plm_colour_ramp(4, 5), PLM_RAMP + PLM_RAMP_STEPS - 1);
  assert_true(plm_colour_ramp(0, 1) < PLM_COLOURS);
}

/* ------------------------------------------------------------ what gnuplot drew */

static const struct plm_svg_about ABOUT = {"fig", "A <title>", "what & why"};

static void assert_inlined(const char *svg, const char *wanted) {
  struct plm_text out = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_svg_inline(&out, svg, &ABOUT, &err))
    fail_msg("%s", err.text);
  if (!strstr(out.data, wanted))
    fail_msg("no %s in %s", wanted, out.data);
  plm_text_fini(&out);
}

static void assert_refused(const char *svg, const char *wanted) {
  struct plm_text out = {0};
  struct plm_error err = PLM_ERROR_INIT;
  if (plm_svg_inline(&out, svg, &ABOUT, &err) != PLM_E_DAMAGED)
    fail_msg("taken: %s", svg);
  if (!strstr(err.text, wanted))
    fail_msg("no \"%s\" in: %s", wanted, err.text);
  plm_text_fini(&out);
}

static void test_svg__gets_ids_colours_and_a_name(void **state) {
  (void)state;
  assert_inlined("<?xml version='1.0'?><svg xmlns=\"http://x\"><g id='a'/></svg>", "<g id=\"fig-a\"/>");
  assert_inlined("<svg><use xlink:href='#a' transform='scale(2)'/></svg>", "<use href=\"#fig-a\" transform=\"scale(2)\"/>");
  assert_inlined("<svg><path stroke='rgb(  0, 114, 178)' d='M0,0'/></svg>", "stroke=\"var(--main)\"");
  assert_inlined("<svg><path stroke='rgb(1,2,3)' d='M0,0'/></svg>", "stroke=\"rgb(1,2,3)\"");
  assert_inlined("<svg><g fill=\"black\"></g></svg>", "fill=\"var(--ink)\"");
  assert_inlined("<svg></svg>", "<title id=\"fig-title\">A &lt;title&gt;</title><desc id=\"fig-desc\">what &amp; why</desc>");
  assert_inlined("<svg><title>Gnuplot</title><desc>x</desc><g/></svg>", "what &amp; why</desc><g/>");
  assert_inlined("<svg><text>a &lt;b> &amp; c</text></svg>", "<text>a &lt;b&gt; &amp; c</text>");
}

static void test_svg__refuses_what_does_not_draw(void **state) {
  (void)state;
  assert_refused("<svg><script>alert(1)</script></svg>", "\"script\"");
  assert_refused("<svg><foreignObject/></svg>", "\"foreignObject\"");
  assert_refused("<svg><image xlink:href='http://example.invalid/x.png'/></svg>", "\"image\"");
  assert_refused("<svg><g onload='alert(1)'/></svg>", "\"onload\"");
  assert_refused("<svg><g style='fill:red'/></svg>", "\"style\"");
  assert_refused("<svg><use xlink:href='other.svg#a'/></svg>", "other.svg");
  assert_refused("<svg><a href='#x'/></svg>", "\"a\"");
  assert_refused("<svg><g fill='url(http://example.invalid/)'/></svg>", "a reference");
  assert_refused("<svg><g fill='red/></svg>", "broken");
  assert_refused("<svg><g fill=red/></svg>", "broken");
  assert_refused("<svg><title>never ends", "broken");
  assert_refused("no picture at all", "no picture");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_html__escapes_what_could_be_markup),
      cmocka_unit_test(test_html__replaces_what_is_no_text),
      cmocka_unit_test(test_html__cells_hold_long_texts),
      cmocka_unit_test(test_figure__words_cannot_leave_their_column),
      cmocka_unit_test(test_axis__says_numbers_shortly),
      cmocka_unit_test(test_axis__every_range_has_two_labels),
      cmocka_unit_test(test_axis__ignores_what_it_cannot_show),
      cmocka_unit_test(test_axis__labels_keep_their_distance),
      cmocka_unit_test(test_colours__are_distinct_and_found_again),
      cmocka_unit_test(test_svg__gets_ids_colours_and_a_name),
      cmocka_unit_test(test_svg__refuses_what_does_not_draw),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
