// SPDX-License-Identifier: MIT
// html_page: style and script of the HTML page (html.c), as strings.
#pragma once

#define HTML_STYLE                                                                                           \
    "body{font:14px/1.4 system-ui,sans-serif;margin:0 1.5em 4em;color:#1b1f24;background:#fff}"              \
    "h1{font-size:1.3em}h2{font-size:1.1em;border-top:2px solid #d0d7de;padding-top:.8em}"                   \
    "pre,code,.code td,.state{font:12px/1.5 ui-monospace,Consolas,monospace}"                                \
    ".accepted{color:#116329}.rejected{color:#a40e26}"                                                       \
    ".finding{border-left:4px solid #a40e26;background:#fff1f1;margin:.6em 0;padding:.4em .8em;"             \
    "white-space:pre-wrap;cursor:pointer;font:12px/1.5 ui-monospace,Consolas,monospace}"                     \
    ".panes{display:flex;gap:1em;align-items:flex-start}.panes>div{min-width:0}"                             \
    ".left{flex:3;overflow-x:auto}.right{flex:2;position:sticky;top:0;max-height:100vh;overflow:auto}"       \
    ".code{border-collapse:collapse;width:100%}.code td{vertical-align:top;padding:1px .6em;"                \
    "border-bottom:1px solid #eaeef2;white-space:pre-wrap}"                                                  \
    ".ln{color:#6e7781;text-align:right;user-select:none}"                                                   \
    ".insn{cursor:pointer;white-space:nowrap;padding:0 "                                                     \
    ".3em;border-radius:3px}.insn:hover{background:#ddf4ff}"                                                 \
    ".insn.path{background:#fff8c5}.insn.bad{background:#ffcecb;font-weight:bold}"                           \
    ".insn.unseen{color:#8c959f}.insn.chosen{outline:2px solid #0969da}"                                     \
    ".state{border:1px solid #d0d7de;border-radius:6px;padding:.5em .8em;white-space:pre-wrap;"              \
    "overflow-wrap:anywhere;min-height:4em}.state p{margin:.2em 0;border-top:1px dashed #d0d7de}"            \
    "svg{max-width:100%;height:auto;border:1px solid #d0d7de;border-radius:6px;margin-top:1em}"              \
    "svg text{font:11px ui-monospace,Consolas,monospace}svg rect{fill:#f6f8fa;stroke:#57606a}"               \
    "svg a.bad rect{fill:#ffcecb;stroke:#a40e26}svg a.path rect{fill:#fff8c5}"                               \
    "svg path{fill:none;stroke:#57606a}svg path.taken{stroke:#0969da}svg path.back{stroke-dasharray:4 3}"

#define HTML_SCRIPT                                                                                          \
    "'use strict';"                                                                                          \
    "for(const s of document.querySelectorAll('section')){"                                                  \
    "const data=JSON.parse(s.querySelector('script').textContent),panel=s.querySelector('.state');"          \
    "let pinned=null;"                                                                                       \
    "const show=i=>{const pc=i.dataset.pc,list=data.states[pc]||[];panel.textContent='';"                    \
    "const add=(tag,text)=>{const e=document.createElement(tag);e.textContent=text;"                         \
    "panel.append(e);};"                                                                                     \
    "add('b',i.textContent);"                                                                                \
    "if(!data.traced)add('p','No states were recorded.');"                                                   \
    "else if(!list.length)add('p','Never reached.');"                                                        \
    "for(const t of list)add('p',t);};"                                                                      \
    "const choose=i=>{if(!i)return;if(pinned)pinned.classList.remove('chosen');"                             \
    "pinned=i;i.classList.add('chosen');show(i);};"                                                          \
    "s.addEventListener('mouseover',e=>{const i=e.target.closest('.insn');if(i)show(i);});"                  \
    "s.addEventListener('mouseout',e=>{if(pinned&&e.target.closest('.insn'))show(pinned);});"                \
    "s.addEventListener('click',e=>{const i=e.target.closest('.insn');if(i){choose(i);return;}"              \
    "const f=e.target.closest('[data-goto]');if(f){e.preventDefault();"                                      \
    "const t=document.getElementById(f.dataset.goto);"                                                       \
    "if(t){choose(t);t.scrollIntoView({block:'center'});}}});"                                               \
    "choose(s.querySelector('.insn.bad'));}"                                                                 \
    "document.body.dataset.ready='yes';"
