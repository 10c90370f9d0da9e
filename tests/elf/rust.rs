// SPDX-License-Identifier: MIT
// Rust without its core library (rustc's BPF target has none ready-made): one section a function and a variable.
#![feature(no_core, lang_items, auto_traits)]
#![no_core]
#![no_std]
#![crate_type = "lib"]
#![allow(internal_features)]

#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
impl Copy for u32 {}
#[lang = "sync"]
pub trait Sync {}
impl Sync for u32 {}
impl Sync for MapDef {}
#[lang = "freeze"]
pub unsafe auto trait Freeze {}
#[lang = "drop_glue"]
fn drop_glue<T: PointeeSized>(_: *mut T) {}

#[repr(C)]
pub struct MapDef {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}
#[repr(C)]
pub struct xdp_md {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
}

#[link_section = "maps"]
#[no_mangle]
pub static COUNTS: MapDef = MapDef { kind: 2, key_size: 4, value_size: 8, max_entries: 4, flags: 0 };
#[no_mangle]
pub static mut LIMIT: u32 = 7;
#[link_section = "license"]
#[no_mangle]
pub static LICENSE: u32 = 0x0054494d;

#[inline(never)]
fn choose(a: u32, map: *const MapDef) -> u32 {
    match a {
        7 => unsafe { LIMIT },
        8 => unsafe { LIMIT = map as u32; 1 },
        _ => 2,
    }
}


#[link_section = "xdp"]
#[no_mangle]
pub extern "C" fn rust_pass(ctx: *const xdp_md) -> u32 {
    unsafe { choose((*ctx).ingress_ifindex, &COUNTS) }
}
