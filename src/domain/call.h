// SPDX-License-Identifier: MIT
// call: entering and leaving functions of the program, as calls and as callbacks of helpers.
//
// The callers' frames stay in the state while a callee may reach them. Where it cannot (call_may_hide) the
// callee runs in a state of its own, and its exit state is put into the caller's afterwards: then one
// analysis of the function serves all callers. Below its frame there may be a shadow: a frame without cells
// whose saved registers are copies of r1-r4 as they were handed over, so that what the callee learns about
// them (a null check, a range) comes back to the caller's copies.
#pragma once

#include "domain/helper.h"
#include "domain/state.h"

#define CALL_SHADOW UINT32_MAX // return_pc of a shadow

// No frame of the callers can be reached from the registers of `args` (bits 1-5), and nothing is held that a
// callee could give back.
bool call_may_hide(const struct domain_state *caller, uint16_t args);

// *callee becomes the state in which a function is entered from `caller`, which does not change. Of r1-r5,
// only `args` are handed over. With `hide`, no frame of the callers is in it.
void call_enter(const struct domain_state *caller, struct domain_state *callee, uint16_t args, bool hide);
// At an EXIT: the frame of the running function goes, and with its dynptrs and iterators what they lent out
// (memory of a dynptr may be a buffer in the frame).
void call_end_frame(struct domain_state *s);
// `s`, at an EXIT from a frame that is not the first, becomes the state of the caller after its call.
void call_leave(struct domain_state *s);
// What a callee with hidden callers left in `exit`, after call_leave if there is a shadow, is put into
// `caller`, which becomes the state after the call. False when the two do not fit: this exit is not possible.
bool call_return(struct domain_state *caller, const struct domain_state *exit) MUST_CHECK;

// The same for the callback that the helper call at `pc` makes. False, with a fault, when callbacks of this
// type cannot be verified.
bool call_enter_callback(const struct domain_env *env, const struct domain_state *caller,
                         const struct helper_callback *cb, bool hide, struct domain_state *callee,
                         struct domain_fault *fault) MUST_CHECK;
// `s`, a state after a callback returned, becomes one in which the helper goes on: r1-r5 are what they were
// in `caller`, the state before the call.
void call_resume(struct domain_state *s, const struct domain_state *caller);
// Callbacks of this type run later, on a stack of their own.
bool call_is_deferred(enum callback_type type);

// A global function is verified once, against its contract, and calls of it are checked against the contract.
bool call_has_contract(const struct program *p, uint32_t func);
void call_enter_contract(const struct domain_env *env, uint32_t func, struct domain_state *s);
// The arguments in r1-r5 are as the contract of `func` says.
bool call_check_contract(const struct domain_env *env, const struct domain_state *s, uint32_t func,
                         struct domain_fault *fault) MUST_CHECK;
// What is known after the call: nothing of the memory behind its arguments, any result.
void call_apply_contract(const struct domain_env *env, struct domain_state *s, uint32_t func,
                         bool changes_packet);
