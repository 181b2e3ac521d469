# SPDX-License-Identifier: MIT

include_HEADERS = include/mppool.h include/mppool-sugar.h include/mppool.hpp
