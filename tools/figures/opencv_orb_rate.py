"""How many photos a second OpenCV reads, decodes and describes on one core.

    python opencv_orb_rate.py LIST

LIST names a file a line. Prints one line of JSON.
"""

import json
import sys
import time

import cv2

cv2.setNumThreads(1)
files = open(sys.argv[1]).read().splitlines()
orb = cv2.ORB_create()
keypoints = 0
began = time.perf_counter()
for file in files:
    found, _ = orb.detectAndCompute(cv2.imread(file), None)
    keypoints += len(found)
seconds = time.perf_counter() - began
print(json.dumps({"images_per_second": len(files) / seconds, "keypoints": keypoints, "version": cv2.__version__}))
