# SPDX-License-Identifier: GPL-3.0-or-later
# Options, the task and its store, codes and pins, the keeper between played ends.
unit(config receiver_core)
unit(task_state receiver_core)
unit(task_store receiver_core)
unit(tickets receiver_core)
unit(keeper_login receiver_core)
unit(keeper_task receiver_core)
unit(control receiver_core)
bats_test(cli receiverctl 300)
