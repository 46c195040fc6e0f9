"""The API described in OpenAPI 3.1, from what the code itself knows.

    document    all of it
    fields      what a search may ask, within the limits of `function.fields`
    answers     what comes back
    errors      every reason that an error may give, with what to do about it
    operations  the routes: what each takes and answers
    typescript  the same as types, for `web/wire.d.ts`

The tests compare each with the code that it describes.
"""
