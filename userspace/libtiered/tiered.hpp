// SPDX-License-Identifier: GPL-2.0-or-later
// All of libtiered. README.md says what is in which header; every function that can fail throws
// tiered::error, whose text is a sentence for people.
#pragma once

#include "activity.hpp"
#include "block_device.hpp"
#include "check.hpp"
#include "discovery.hpp"
#include "dm.hpp"
#include "error.hpp"
#include "heat.hpp"
#include "heat_map.hpp"
#include "histogram.hpp"
#include "mapping.hpp"
#include "open_volumes.hpp"
#include "pins.hpp"
#include "prometheus.hpp"
#include "record.hpp"
#include "root.hpp"
#include "signature.hpp"
#include "status.hpp"
#include "storage.hpp"
#include "superblock.hpp"
#include "table.hpp"
#include "text.hpp"
#include "volume_format.hpp"
#include "volume_options.hpp"
#include "why.hpp"
