# SPDX-License-Identifier: GPL-3.0-or-later
unit(sender_options sender)
unit(invite sender)
unit(limit sender)
unit(table sender)
unit(source sender)
unit(progress sender)
unit(facts sender)
unit(sender_store sender)
