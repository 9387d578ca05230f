"""Diagrams with everything that steps may be part of."""

NESTED = """stateDiagram-v2
    state f <<fork>>
    state j <<join>>
    state g <<fork>>
    state k <<join>>
    [*] --> a
    a --> f
    f --> b
    f --> c
    b --> g
    g --> d
    g --> e
    d --> k
    e --> k
    k --> h
    h --> j
    c --> j
    j --> z
    z --> [*]
"""
AT_ONCE = """stateDiagram-v2
    state f <<fork>>
    state j <<join>>
    [*] --> f
    f --> b
    f --> c
    b --> j
    c --> j
    j --> [*]
"""
REGIONS = """stateDiagram-v2
    [*] --> begin
    begin --> both
    state both {
        [*] --> x
        x --> y
        y --> [*]
        --
        state more <<choice>>
        [*] --> p
        p --> more
        more --> q: another
        more --> [*]: enough
        q --> [*]
    }
    both --> last
    both --> gone: stop
    last --> over
    over --> [*]
    gone --> [*]: cancelled
"""
WORK_BEFORE_A_FORK = """stateDiagram-v2
    state f <<fork>>
    state j <<join>>
    [*] --> f
    f : do / warm_up
    f --> b
    f --> c
    b --> j
    c --> j
    j --> w
    w --> x: go after 1d
    x : do / finish
    x --> [*]
"""
DECIDED_IN_A_BRANCH = """stateDiagram-v2
    state f <<fork>>
    state j <<join>>
    state d <<choice>>
    [*] --> f
    f --> b
    f --> c
    b --> d
    d --> e : more
    d --> j : enough
    d --> c1
    c1 --> j
    e --> j
    c --> j
    j --> last
    last --> [*]
"""
COMPOSITE = """---
title: LoopsWorkflow
loops: true
---
stateDiagram-v2
    [*] --> outer
    state outer {
        state again <<choice>>
        [*] --> inner
        inner --> again
        again --> inner: again
        again --> [*]
    }
    outer --> last
    last --> [*]
"""

DIAGRAMS = {
    "nested": NESTED,
    "at_once": AT_ONCE,
    "regions": REGIONS,
    "work_before_a_fork": WORK_BEFORE_A_FORK,
    "decided_in_a_branch": DECIDED_IN_A_BRANCH,
    "composite": COMPOSITE,
}
