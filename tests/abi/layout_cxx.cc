#include "layout_v1.h"
