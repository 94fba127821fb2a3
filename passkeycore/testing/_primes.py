"""Six 1024-bit primes, public by being shipped here: RSA test keys are products of two of them.

Data only. They were drawn once at random; they exist because generating RSA keys is slow and cannot be
seeded. Never use a key made of them outside tests: everybody can factor it.
"""

from typing import Final

PRIMES: Final = (
    int(
        "b5073a8127d90acdb8dddd48f768a0c9832b885e6b83e2988db66eee3d7c884c"
        "2d845ab5f617d86158ea561f6d85f464e2603b9bd932640cf81b943602d5675b"
        "fab588e91eeb465a4d5116dd1d413cb4bba75fddb5fa0729215338f94abf6a2f"
        "95f08508f58d0e33bba4969be2e78a8ef05a1201c013c9af34cefa36d7109a5b",
        16,
    ),
    int(
        "bf279987e69766035f08a51d1a45adb8536b658bf77dea0426cf49ed19a24250"
        "24fd2619f1ae19d40686c8207fb3b317494ba1b821d4cf41b0b3e2bb688f4e30"
        "6aaba5298a9e97193770afa32fd99fe7a0d47b0f0b01734626e333f3cfda2cb1"
        "06bea690265e5ada1743fd4fa2d33ae3d7f125e552ecfb3295008917edf4c3cf",
        16,
    ),
    int(
        "c76974647b9355ce9aa853d6e3699284cab38e4dcf4a5724915b68e934eb8560"
        "cffbadc0163adaff42e3a38abebf26427c83effd08138758a3f3d07817a2630d"
        "179aaa52de381f593df83ce7539bb64fc515da1d95e06ad6aa2cf9df12dd4edd"
        "4e09ad13738f2356932fa3d6fa9712a7b322d1e6acfdbab2c39398005bd8c693",
        16,
    ),
    int(
        "cb7ab1adc1de4b029e77febd8db6c5f87b93483ab35f011fc94924bae3bec67a"
        "12e43a1891241677ff575cd11249099f0562951353bfbe241b7a95a3e42015d5"
        "db8dda9527e6f983724bf6e69251f33232fd5f64f56da5c3074acc2254b7a062"
        "9407095bdb0a847572bebcdf6d13abb82438cb9ef18ec4e18d55f89f8d60e741",
        16,
    ),
    int(
        "d8ccc8e04c80a1f758dd2c71e468a115f848d0fdf913c7fb1ec2854112700c85"
        "ce3c6bd09b37d07c8ea1caeb078b2d5ede2eaa6f20504170ad81a72792722971"
        "e7b8e2337bdb4b010ef6da612c553b2722ae3a77ac7608e0b2b9d5852776d677"
        "c2961046ad280ab88bdd10bc6793996c4b43e37e5e5a863bb56e0c814f768577",
        16,
    ),
    int(
        "fc4987e379468c9de5555b62dff45a25a3494477ed20a1abe984be8328f2c1f9"
        "867e0ae49a06a761611e4f31565f0cfb917e2377df7d4df302eab929947fbab9"
        "addb9373ef032ff42c400f41f0bcfd77acc2d6108989c1139cd50f1172fbc2b2"
        "1241ef8d2bd84252b739e824e47a1da3d019b41102cc98f6128cf48ba66198c7",
        16,
    ),
)
