"""Speak one sentence with espeak-ng and exit; started by `visemix.heads.speech`.

Standard library only, so that `python -I -S` starts it in a hundredth of a second. Reads one JSON
object from standard input: library, data, text, voice, rate, pitch, pitch_range. Writes one JSON
line (sample rate, events), then raw int16 samples. Events are ["phoneme", sample, mnemonic] or
["word", sample, text position, length in characters]. On failure: a message on standard error and
exit status 1.
"""

import ctypes as c
import json
import sys

# values of espeak-ng's C header speak_lib.h
LIST_TERMINATED, WORD, PHONEME = 0, 1, 7  # espeak_EVENT_TYPE
RETRIEVAL = 1  # AUDIO_OUTPUT: samples go to the callback
PHONEME_EVENTS = 1  # espeak_Initialize option
UTF8 = 1  # espeak_Synth flag
PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4}  # espeak_PARAMETER


class Id(c.Union):
    _fields_ = [("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8)]


class Event(c.Structure):
    _fields_ = [
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", Id),
    ]


CALLBACK = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, c.POINTER(Event))


def open_library(job: dict) -> tuple[c.CDLL, int]:
    """Load the library, choose the voice; return it with its sample rate."""
    try:
        library = c.CDLL(job["library"])
    except OSError as error:
        sys.exit(f"cannot load the library {job['library']}: {error}")
    rate = library.espeak_Initialize(RETRIEVAL, 200, job["data"].encode(), PHONEME_EVENTS)
    if rate <= 0:
        sys.exit(f"cannot read the data in {job['data']}")
    # its noise is seeded by the clock otherwise, and the same text gives other samples
    library.espeak_ng_SetRandSeed(c.c_long(1))
    if library.espeak_SetVoiceByName(job["voice"].encode()):
        sys.exit(f"no voice {job['voice']}")
    for name, number in PARAMETERS.items():
        library.espeak_SetParameter(number, job[name], 0)
    return library, rate


def main() -> None:
    job = json.load(sys.stdin)
    chunks, found = [], []

    def receive(samples, count, events):
        if samples and count > 0:
            chunks.append(c.string_at(samples, 2 * count))
        i = 0
        while events[i].type != LIST_TERMINATED:
            event = events[i]
            if event.type == PHONEME:
                mnemonic = c.string_at(c.addressof(event.id), 8).split(b"\0")[0]
                found.append(["phoneme", event.sample, mnemonic.decode("utf-8", "replace")])
            elif event.type == WORD:
                found.append(["word", event.sample, event.text_position - 1, event.length])
            i += 1
        return 0

    library, rate = open_library(job)
    callback = CALLBACK(receive)  # kept in a name: the library does not own it
    library.espeak_SetSynthCallback(callback)
    raw = job["text"].encode() + b"\0"
    if library.espeak_Synth(raw, c.c_size_t(len(raw)), 0, 1, 0, UTF8, None, None):
        sys.exit("synthesis failed")
    library.espeak_Synchronize()
    head = json.dumps({"rate": rate, "events": found})
    sys.stdout.buffer.write(head.encode() + b"\n" + b"".join(chunks))


if __name__ == "__main__":
    main()
