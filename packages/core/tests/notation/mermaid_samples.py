"""Diagrams for tests of the reader: our own, and together with every construct that Mermaid knows."""

ORDER = """\
---
title: order · v2
detent: {
  "description": "An order, from the till to the door"
  }
---
stateDiagram-v2
    direction LR
    accTitle: The order
    state paid_in_full <<choice>>
    [*] --> new
    new --> waiting : place / reserve_stock
    waiting --> paid_in_full : pay [amount_ok] / capture
    paid_in_full --> packing : [in full]
    paid_in_full --> waiting : else
    waiting --> cancelled : cancel after 14d
    packing --> packing : attempts=5, initial=30s
    packing --> shipped
    shipped --> [*]
    cancelled --> [*] : cancelled
    note right of packing
        Two people; see #35;12
    end note
    classDef busy fill:#ffc
    class packing busy
"""
CLAIM = """\
stateDiagram-v2
    %% who decides, and on what
    state "Is it covered?" as covered
    state big <<choice>>
    state "Look into it" as inquiry : by an expert
    [*] --> covered
    covered --> [*] : refuse
    covered --> big
    big --> inquiry : large
    big --> settle : small
    inquiry --> settle : settled
    inquiry --> [*] : fraud
    settle --> [*]
    settle : pays<br/>and writes
    inquiry:::slow --> inquiry : remind / send_letter
"""
EVERYTHING = """\
stateDiagram
    state "Everything else" as rest {
        [*] --> one
        one --> two : go
        --
        [*] --> three
        note left of three : a note
        state inner { four --> five }
    }
    state fork1 <<fork>>
    state join1 [[join]]
    a.b --> fork1
    fork1 --> x:::hot
    fork1 --> y
    x --> join1
    y --> join1
    join1 --> [*]
    classDef hot fill:#f00,color:white;
    style y fill:#f9f,stroke:#333
    click x href "https://example.com"
    accDescr {
        all of it
    }
    scale 350 width
    hide empty description
    %%{init: {'theme': 'dark'}}%%
    note "floats" as N1
"""
SAMPLES = (ORDER, CLAIM, EVERYTHING)
