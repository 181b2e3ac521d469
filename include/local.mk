# SPDX-License-Identifier: MIT

include_HEADERS = include/mppool.h
