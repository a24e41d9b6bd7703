"""How a folder of your own is laid out, as the help of every command that takes one says."""

LAYOUT = """\
a folder of pictures and sounds of your own is laid out like this:

  FOLDER/things/NAME/*.png *.wav    pictures with alpha of a thing, and its sounds (any format FFmpeg reads)
  FOLDER/silent/*.png               distractors: pictures with alpha of things that never sound (may be missing)
  FOLDER/backgrounds/*.jpg          photographs

Files are split by a hash of their name: seven in ten train, one validates, two test. So adding a file moves no other.
Where the files lie elsewhere, FOLDER/library.csv names them instead:

  kind,thing,file,split
  picture,dog,/data/dogs/rex.png,train

kind is picture, sound, silent or background; thing is empty for the last two; file is relative to FOLDER; an empty
split is the hash's. A General MIDI sound font for recipes with notes is FOLDER/scenes/NAME.sf2 (may be missing).
"""

SEE_LAYOUT = "see python -m cmac_hub.train pretrain --help"
"""How errors send there."""
