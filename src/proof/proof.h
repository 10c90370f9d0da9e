// SPDX-License-Identifier: MIT
// proof: the door of the certificate and its checker. It declares nothing in this version: evidence of format
// 1 (spec.h) has marks only, and prog_load checks them. Certificates are evidence of a later format; the
// checker will re-check them in one pass over the same transfer functions and obligations (domain/domain.h)
// that the verifier uses.
#pragma once
